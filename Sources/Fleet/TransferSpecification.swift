//===----------------------------------------------------------------------===//
// Prefill and decode on pools of their own: what a fleet file says, and what follows from it.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import StepModel
import Yard

/// What a pool's replicas do.
public enum PoolRole: String, Sendable, CaseIterable {
    case both, prefill, decode

    var engineRole: ReplicaRole {
        switch self {
        case .both: .whole
        case .prefill: .prefillOnly
        case .decode: .decodeOnly
        }
    }
}

/// How the KV of a finished prompt gets from a prefill pool to a decode pool.
public struct TransferSpecification: Sendable, Equatable {
    /// `efa`, `nvlink`, `neuronlink`, or a level of the accelerator's links; nil is the instance's network.
    public var over: Located<String>?
    /// The prefill side pushes layer by layer, instead of the decode side's reading when the prompt is done.
    public var writes = false
    /// Replaces the link's own figure: one way, of one chip.
    public var bytesPerSecondPerChip: Double?
    public var latencyMicroseconds: Double?
    public var place = Place.nowhere

    public init() {}

    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: ["over", "mode", "bytes_per_second_per_chip", "latency_microseconds"])
        over = try map["over"]?.located()
        if let mode = map["mode"] { writes = try mode.oneOf(["read", "write"]) == "write" }
        bytesPerSecondPerChip = try map["bytes_per_second_per_chip"]?.number(in: 1e3...1e15, unit: "bytes per second")
        latencyMicroseconds = try map["latency_microseconds"]?.number(in: 0...1e7, unit: "microseconds")
        place = value.place
    }

    /// The link's level as the catalogue names it.
    var level: String {
        switch over?.value {
        case nil, "efa": "network"
        case "nvlink", "neuronlink": "scale-up"
        case let named?: named
        }
    }
}

extension FleetSpecification {
    /// Gives each pool its role and its bandwidth.
    /// - Returns: the rules of the transfer; nil when every pool does both.
    func joined(_ plans: inout [PoolPlan], catalog: Catalog) throws -> (rules: KVTransferRules?, known: Known) {
        var known = Known()
        let roles = pools.map { $0.role ?? .both }
        guard let first = roles.firstIndex(where: { $0 != .both }) else {
            if let transfer {
                throw FleetError(
                    "'kv_transfer' needs pools with 'role: prefill' and 'role: decode'", at: transfer.place)
            }
            return (nil, known)
        }
        if let both = roles.firstIndex(of: .both) {
            throw FleetError(
                "pool '\(pools[both].name)' needs 'role: prefill' or 'role: decode', as the other pools have one",
                at: pools[both].place)
        }
        for wanted in [PoolRole.prefill, .decode] where !roles.contains(wanted) {
            throw FleetError(
                "a fleet with separate prefill and decode needs a pool with 'role: \(wanted)'", at: pools[first].place)
        }
        let transfer = transfer ?? TransferSpecification()
        let rules = try rules(of: transfer, plans, catalog: catalog, &known)
        for index in plans.indices {
            plans[index].role = roles[index]
            plans[index].configuration.role = roles[index].engineRole
            let perChip = try bytesPerSecond(of: transfer, plans[index].instance, catalog: catalog, &known)
            plans[index].transferBytesPerSecond = Int64((perChip * plans[index].compiled.chipShare).rounded())
        }
        return (rules, known)
    }

    private func rules(
        of transfer: TransferSpecification, _ plans: [PoolPlan], catalog: Catalog, _ known: inout Known
    ) throws -> KVTransferRules {
        let formats = plans.map(\.compiled.deployment.keyValuePrecision)
        if let other = formats.firstIndex(where: { $0 != formats[0] }) {
            throw FleetError(
                "pool '\(pools[other].name)' keeps KV in \(formats[other].rawValue), pool '\(pools[0].name)' in "
                    + "\(formats[0].rawValue): what is handed over must have one format (kv_precision)",
                at: pools[other].deployment.place)
        }
        let model: Model
        do { model = try catalog.model(nameOrPath: pools[0].deployment.model.value) } catch {
            throw FleetError(error.description, at: pools[0].deployment.model.place)
        }
        let bytes = Int64(model.keyValueBytesPerToken(formats[0]).rounded(.up))
        guard bytes > 0 else {
            throw FleetError("\(model.id) keeps no KV that could be handed over", at: pools[0].deployment.model.place)
        }
        let microseconds: Double
        if let given = transfer.latencyMicroseconds {
            microseconds = given
            known.assumptions.append("KV transfer: latency of \(given) µs, given in the fleet file")
        } else {
            // Memory to memory: 15 µs over EFA by the Neuron guide to collectives between instances; inside a scale-up
            // domain 10 µs, as AIConfigurator takes for a point-to-point message.
            microseconds = transfer.level == "network" ? 15 : 10
            known.assumptions.append("KV transfer: \(Int(microseconds)) µs from memory to memory, without a handshake")
        }
        known.grades.append(.assumed)
        known.assumptions.append(
            "KV transfer: \(bytes) bytes a token, \(transfer.writes ? "written layer by layer" : "read when the prompt is done"); "
                + "energy of the wires is not counted")
        return KVTransferRules(
            mode: transfer.writes ? .write(layers: Int32(model.layers.count)) : .read, bytesPerToken: bytes,
            latencyNanoseconds: Int64((microseconds * 1000).rounded()))
    }

    /// Out of and into one chip.
    private func bytesPerSecond(
        of transfer: TransferSpecification, _ instance: Instance, catalog: Catalog, _ known: inout Known
    ) throws -> Double {
        if let given = transfer.bytesPerSecondPerChip {
            known.note(.assumed, "KV transfer: \(given * 1e-9) GB/s a chip, given in the fleet file")
            return given
        }
        let place = transfer.over?.place ?? transfer.place
        let accelerator: Accelerator
        do { accelerator = try catalog.accelerator(of: instance) } catch {
            throw FleetError(error.description, at: place)
        }
        let perChip: Double
        if transfer.level == "network", let network = instance.networkBytesPerSecond {
            perChip = network.value / Double(instance.acceleratorCount.value)
            known.grades.append(network.grade)
        } else if let link = accelerator.links.first(where: { $0.level == transfer.level }) {
            perChip = link.oneWayBytesPerSecond
            known.grades.append(link.bytesPerSecond.grade)
        } else {
            let levels = ["efa"] + accelerator.links.map(\.level)
            throw FleetError(
                "no bandwidth of '\(transfer.over?.value ?? "network")' is known for \(instance.id); known are "
                    + levels.joined(separator: ", ") + ", and bytes_per_second_per_chip gives another", at: place)
        }
        if transfer.level != "network" {
            known.note(
                .assumed,
                "KV transfer: the pools' instances are taken to share the \(transfer.level) links of \(accelerator.id)")
        }
        known.note(.derived, "KV transfer: \(perChip * 1e-9) GB/s a chip of \(instance.id), one way, at full rate")
        return perChip
    }
}
