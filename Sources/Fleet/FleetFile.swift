//===----------------------------------------------------------------------===//
// From a fleet file to its specification.
//===----------------------------------------------------------------------===//

import Catalog
import Foundation
import StepModel
import Yard

extension FleetSpecification {
    /// Reads a fleet file.
    /// - Throws: `FleetError` with the place of the first thing that is wrong.
    public init(contentsOf path: String) throws { try self.init(contentsOf: path) { _ in } }

    /// Reads a fleet file that is changed before it is looked at.
    init(contentsOf path: String, changing: (inout YAMLValue) throws -> Void) throws {
        let start = Place(file: path, line: 0, column: 0)
        guard let data = FileManager.default.contents(atPath: path) else {
            throw FleetError("no such fleet file, or it cannot be read", at: start)
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw FleetError("the file is not UTF-8 text", at: start)
        }
        var root = try YAMLValue(parsing: text, file: path)
        try changing(&root)
        try self.init(root)
        resolveModelPaths(against: URL(fileURLWithPath: path).deletingLastPathComponent())
    }

    /// A configuration file that lies beside the fleet file is meant by its name there, wherever the program was
    /// started.
    private mutating func resolveModelPaths(against folder: URL) {
        for index in pools.indices where pools[index].deployment.model.value.hasSuffix(".json") {
            let written = pools[index].deployment.model.value
            let beside = folder.appendingPathComponent(written).path
            guard !written.hasPrefix("/"), FileManager.default.fileExists(atPath: beside) else { continue }
            pools[index].deployment.model.value = beside
        }
    }

    /// Parses a fleet. `file` is only used in messages.
    public init(yaml text: String, file: String) throws {
        try self.init(YAMLValue(parsing: text, file: file))
    }

    /// Reads a fleet out of a larger document (the daemon's configuration holds two).
    public init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: [
            "name", "region", "pools", "placement", "price", "pue", "wue_litres_per_kwh", "grams_co2e_per_kwh", "power",
            "classes", "tenants", "limits", "cells", "kv_transfer",
        ])
        let pools = try map.required("pools")
        self.init(
            name: try map.required("name").string(),
            region: try map["region"]?.located(),
            pools: try pools.list().map(PoolSpecification.init)
        )
        place = value.place
        guard !self.pools.isEmpty else { throw FleetError("'pools' needs at least one pool", at: pools.place) }
        var names: Set<String> = []
        for pool in self.pools where !names.insert(pool.name).inserted {
            throw FleetError("two pools are named '\(pool.name)'", at: pool.place)
        }
        if let placement = map["placement"] {
            self.placement = Located(try placement.oneOf(PlacementTable.names), at: placement.place)
        }
        if let price = map["price"] { self.price = try PriceSpecification(price) }
        site.pue = try map["pue"]?.number(in: 1...5, unit: "facility watts per wall watt")
        site.wueLitresPerKWh = try map["wue_litres_per_kwh"]?.number(in: 0...50, unit: "litres per kWh")
        site.gramsCO2ePerKWh = try map["grams_co2e_per_kwh"]?.number(in: 0...3000, unit: "grams CO2e per kWh")
        if let power = map["power"] { self.power = try PowerOverrides(power) }
        if let classes = map["classes"] { self.classes = try classes.anyMapping().entries.map(ClassSpecification.init) }
        if let tenants = map["tenants"] {
            let names = self.classes.map(\.name)
            self.tenants = try tenants.anyMapping().entries.map {
                try TenantSpecification(name: $0, $1, classes: names)
            }
        }
        if let limits = map["limits"] { self.limits = try LimitSpecification(limits) }
        transfer = try map["kv_transfer"].map(TransferSpecification.init)
        cells = try map["cells"]?.integer(in: 1...4096, unit: "cells")
    }
}

extension PoolSpecification {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: [
            "name", "instance", "instances", "deployment", "usd_per_hour", "power", "role",
        ])
        self.init(
            name: try map.required("name").string(),
            instance: try map.required("instance").located(),
            instances: try map.required("instances").integer(in: 1...1_000_000, unit: "instances"),
            deployment: try DeploymentSpecification(map.required("deployment"))
        )
        usdPerHour = try map["usd_per_hour"]?.number(in: 0...1_000_000, unit: "USD per hour")
        if let power = map["power"] { self.power = try PowerOverrides(power) }
        role = try map["role"].flatMap { PoolRole(rawValue: try $0.oneOf(PoolRole.allCases.map(\.rawValue))) }
        place = value.place
    }
}

extension DeploymentSpecification {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: [
            "model", "precision", "parallelism", "stack", "software", "max_num_seqs", "max_model_len",
            "max_num_batched_tokens",
            "kv_precision", "kv_block_tokens", "enable_prefix_caching", "gpu_memory_utilization", "kv_memory_fraction",
            "prefill_buckets", "context_buckets", "on_device_sampling", "async_scheduling",
            "cores_per_logical_core", "long_prefill_token_threshold", "chip_power_cap_watts", "speculative",
        ])
        let stack = try map.required("stack")
        self.init(
            model: try map.required("model").located(),
            precision: try readPrecision(map.required("precision"), or: [nativePrecision]),
            parallelism: try readParallelism(map.required("parallelism")),
            stack: Located(try stack.oneOf(ServingStack.allCases.map(\.rawValue)), at: stack.place)
        )
        place = value.place
        let tokens = 1...16_777_216
        software = try map["software"]?.located()
        maxSequences = try map["max_num_seqs"]?.integer(in: 1...65_536, unit: "sequences")
        maxModelTokens = try map["max_model_len"]?.integer(in: tokens, unit: "tokens")
        maxBatchedTokens = try map["max_num_batched_tokens"]?.integer(in: 1...1_048_576, unit: "tokens")
        kvPrecision = try map["kv_precision"].map { try readPrecision($0) }
        kvBlockTokens = try map["kv_block_tokens"]?.integer(in: 1...8192, unit: "tokens")
        prefixCaching = try map["enable_prefix_caching"]?.boolean()
        gpuMemoryUtilization = try map["gpu_memory_utilization"]?.number(in: 0.01...1, unit: "share of memory")
        kvMemoryFraction = try map["kv_memory_fraction"]?.number(in: 0.01...1, unit: "share of memory")
        prefillBuckets = try map["prefill_buckets"].map { try buckets($0, unit: "tokens") }
        contextBuckets = try map["context_buckets"].map { try buckets($0, unit: "tokens") }
        onDeviceSampling = try map["on_device_sampling"]?.boolean()
        asyncScheduling = try map["async_scheduling"]?.boolean()
        coresPerLogicalCore = try map["cores_per_logical_core"]?.integer(in: 1...2, unit: "physical cores")
        longPrefillThresholdTokens = try map["long_prefill_token_threshold"]?.integer(in: tokens, unit: "tokens")
        chipPowerCapWatts = try map["chip_power_cap_watts"]?.number(in: 1...10_000, unit: "watts")
        speculation = try map["speculative"].map(SpeculationSpecification.init)
    }
}

/// Weights, and routed experts apart from them, in the formats that the model is published in.
let nativePrecision = "native"

/// The name of a number format, or one of a few other words.
private func readPrecision(_ value: YAMLValue, or others: [String] = []) throws -> Located<String> {
    Located(try value.oneOf(Precision.allCases.map(\.rawValue) + others), at: value.place)
}

/// A list of ascending sizes.
private func buckets(_ value: YAMLValue, unit: String) throws -> [Int] {
    let elements = try value.list(atMost: 64)
    guard !elements.isEmpty else { throw FleetError("'\(value.path)' needs at least one bucket", at: value.place) }
    var sizes: [Int] = []
    for element in elements {
        let size = try element.integer(in: 1...16_777_216, unit: unit)
        if let last = sizes.last, size <= last {
            throw FleetError("'\(value.path)' must ascend, but \(size) follows \(last)", at: element.place)
        }
        sizes.append(size)
    }
    return sizes
}

/// Degrees of parallelism; one that is not given is 1.
private func readParallelism(_ value: YAMLValue) throws -> Located<Parallelism> {
    let map = try value.mapping(keys: ["tensor", "data", "expert", "context", "pipeline"])
    func degree(_ key: String) throws -> Int { try map[key]?.integer(in: 1...4096, unit: "devices") ?? 1 }
    let degrees = Parallelism(
        tensor: try degree("tensor"), data: try degree("data"), expert: try degree("expert"),
        context: try degree("context"), pipeline: try degree("pipeline"))
    return Located(degrees, at: value.place)
}

extension SpeculationSpecification {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: ["draft_tokens", "acceptance", "draft_model"])
        draftModel = try map["draft_model"]?.string()
        draftTokens = try map.required("draft_tokens").integer(in: 1...16, unit: "tokens")
        let profile = try map.required("acceptance")
        acceptance = try profile.list(atMost: 16).map { try $0.number(in: 0...1, unit: "probability") }
        guard acceptance.count == draftTokens else {
            throw FleetError(
                "'\(profile.path)' has \(acceptance.count) probabilities for \(draftTokens) draft tokens",
                at: profile.place)
        }
    }
}

extension PriceSpecification {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: ["basis", "date", "usd_per_hour"])
        self.init()
        usdPerHour = try map["usd_per_hour"]?.number(in: 0...1_000_000, unit: "USD per hour")
        date = try map["date"]?.day()
        if let basis = map["basis"] {
            self.basis = Located(try basis.oneOf(PriceBasis.allCases.map(\.rawValue)), at: basis.place)
        } else if usdPerHour == nil {
            throw FleetError("'\(value.path)' needs a 'basis' or 'usd_per_hour'", at: value.place)
        }
    }
}

extension PowerOverrides {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: ["host_watts", "wall_watts_per_chip_watt", "network_watts"])
        self.init()
        let watts = 0.0...1_000_000
        hostWatts = try map["host_watts"]?.number(in: watts, unit: "watts")
        wallPerChipWatt = try map["wall_watts_per_chip_watt"]?.number(in: 1...3, unit: "watts per watt")
        networkWatts = try map["network_watts"]?.number(in: watts, unit: "watts")
    }
}

extension ClassSpecification {
    init(name: String, _ value: YAMLValue) throws {
        let map = try value.mapping(keys: [
            "ttft_p99_seconds", "tpot_p99_seconds", "max_queued_requests", "promote_after_seconds",
        ])
        let seconds = 0.000_001...4000
        self.name = name
        ttftSeconds = try map["ttft_p99_seconds"]?.number(in: seconds, unit: "seconds")
        tpotSeconds = try map["tpot_p99_seconds"]?.number(in: seconds, unit: "seconds")
        maxQueuedRequests = try map["max_queued_requests"]?.integer(in: 1...100_000_000, unit: "requests")
        promoteAfterSeconds = try map["promote_after_seconds"]?.number(in: 0.001...1_000_000, unit: "seconds")
    }
}

extension TenantSpecification {
    init(name: String, _ value: YAMLValue, classes: [String]) throws {
        let map = try value.mapping(keys: [
            "weight", "class", "requests_per_minute", "tokens_per_minute", "max_concurrent",
        ])
        self.name = name
        weight = try map["weight"]?.integer(in: 1...1_000_000, unit: "shares") ?? 1
        priorityClass = try map["class"].map { Located(try $0.oneOf(classes), at: $0.place) }
        requestsPerMinute = try map["requests_per_minute"]?.integer(in: 1...1_000_000_000, unit: "requests per minute")
        tokensPerMinute = try map["tokens_per_minute"]?.integer(in: 1...1_000_000_000_000, unit: "tokens per minute")
        maxConcurrent = try map["max_concurrent"]?.integer(in: 1...10_000_000, unit: "requests")
    }
}

extension LimitSpecification {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: [
            "max_queued_requests", "max_queued_tokens", "max_queued_requests_per_tenant",
            "max_queued_requests_per_replica",
        ])
        maxQueuedRequests = try map["max_queued_requests"]?.integer(in: 1...100_000_000, unit: "requests")
        maxQueuedTokens = try map["max_queued_tokens"]?.integer(in: 1...1_000_000_000_000, unit: "tokens")
        maxQueuedRequestsPerTenant = try map["max_queued_requests_per_tenant"]?.integer(
            in: 1...100_000_000, unit: "requests")
        maxQueuedRequestsPerReplica = try map["max_queued_requests_per_replica"]?.integer(
            in: 0...1_000_000, unit: "requests")
    }
}
