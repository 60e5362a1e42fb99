//===----------------------------------------------------------------------===//
// A sweep: which runs to make, as a person writes it.
//===----------------------------------------------------------------------===//

import Foundation
import Spelling
public import Workload

/// One parameter that varies, and the values that it takes.
public struct SweepAxis: Sendable, Equatable {
    /// What a name stands for.
    enum Target: Sendable, Equatable {
        case fleet, workload, seed, instances
        /// An option of the workload.
        case workloadOption
        /// A key of the fleet file, with its path: "placement", "pools.*.deployment.max_num_seqs".
        case fleetKey([String])
    }
    public var name: String
    /// As they are written.
    public var values: [String]
    var target: Target
    var place: Place
}

/// A sweep file: a workload, and the product of the values of its axes.
///
///     name: slots
///     fleet: deploy/fleets/trn2.yaml
///     workload: chat?duration=120
///     promise: { ttft_p99_seconds: 1, tpot_p99_seconds: 0.06 }
///     vary:
///       rate: [2, 4, 8]
///       instances: { from: 1, to: 4 }
///       pools.*.deployment.max_num_seqs: [8, 16, 32]
///
/// Runs are numbered from 0 in the order of the product, the last axis fastest, so that a shard of a job array finds
/// its own by number.
public struct SweepSpecification: Sendable {
    /// Most runs of one sweep.
    public static let mostRuns = 1_000_000
    public var name: String
    public var axes: [SweepAxis]
    public var ttftSeconds: Double?
    public var tpotSeconds: Double?
    private let fixedFleet: String?
    private let fixedWorkload: String?
    /// Fleet files are meant as they stand beside the sweep file, when they are there.
    private let folder: URL
    private let file: String

    /// Options of a workload that may vary by name.
    static let workloadOptions = ["rate", "scale", "duration", "limit", "concurrency"]

    /// - Throws: `FleetError` with the place of the first thing that is wrong.
    public init(contentsOf path: String) throws {
        guard let data = FileManager.default.contents(atPath: path), let text = String(validating: data, as: UTF8.self)
        else {
            throw FleetError("no such sweep file, or it is not UTF-8 text", at: Place(file: path, line: 0, column: 0))
        }
        try self.init(yaml: text, file: path)
    }

    public init(yaml text: String, file: String) throws {
        let root = try YAMLValue(parsing: text, file: file)
        let map = try root.mapping(keys: ["name", "fleet", "workload", "promise", "vary"])
        name = try map.required("name").string()
        self.file = file
        folder = URL(fileURLWithPath: file).deletingLastPathComponent()
        fixedFleet = try map["fleet"]?.string()
        fixedWorkload = try map["workload"]?.string()
        if let promise = map["promise"] {
            let bounds = try promise.mapping(keys: ["ttft_p99_seconds", "tpot_p99_seconds"])
            ttftSeconds = try bounds["ttft_p99_seconds"]?.number(in: 1e-6...1e5, unit: "seconds")
            tpotSeconds = try bounds["tpot_p99_seconds"]?.number(in: 1e-6...1e5, unit: "seconds")
        }
        axes = try map.required("vary").anyMapping().entries.map { try SweepAxis(name: $0, $1) }
        try check(map)
    }

    private func check(_ map: YAMLMapping) throws {
        for (what, fixed) in [("fleet", fixedFleet), ("workload", fixedWorkload)] {
            let varies = axes.contains { $0.name == what }
            if fixed == nil && !varies {
                throw FleetError("the sweep has no '\(what)', fixed or under 'vary'", at: map.place)
            }
            if let value = map[what], varies {
                throw FleetError("'\(what)' is given twice: here, and under 'vary'", at: value.place)
            }
        }
        var runs = 1
        for axis in axes {
            runs *= axis.values.count
            if runs > Self.mostRuns {
                throw FleetError("the sweep has more than \(Self.mostRuns) runs", at: axis.place)
            }
        }
    }

    public var runs: Int { axes.reduce(1) { $0 * $1.values.count } }

    /// The values of one run, in the order of the axes.
    public func values(ofRun run: Int) -> [String] {
        precondition(run >= 0 && run < runs)
        var left = run
        var values: [String] = []
        for axis in axes.reversed() {
            values.append(axis.values[left % axis.values.count])
            left /= axis.values.count
        }
        return values.reversed()
    }

    /// The runs of one shard of several: every `count`-th, so that shards take about as long as each other.
    public func runs(ofShard shard: Int, of count: Int) -> [Int] { Array(stride(from: shard, to: runs, by: count)) }

    /// What one run runs.
    public struct Point: Sendable {
        public var fleet: FleetSpecification
        /// Nil for as many as the fleet file has.
        public var instances: Int?
        public var workload: WorkloadDescription
        public var seed: UInt64
    }

    /// - Parameter seed: for runs that the sweep gives none.
    /// - Throws: what the run's fleet or workload has wrong, with the values that it came from.
    public func point(ofRun run: Int, seed: UInt64) throws -> Point {
        let values = values(ofRun: run)
        var fleet = fixedFleet ?? ""
        var workload = fixedWorkload ?? ""
        var seed = seed
        var instances: Int?
        var options: [String] = []
        var keys: [(path: [String], value: String)] = []
        for (axis, value) in zip(axes, values) {
            switch axis.target {
            case .fleet: fleet = value
            case .workload: workload = value
            case .seed: seed = UInt64(value) ?? seed
            case .instances: instances = Int(value)
            case .workloadOption: options.append("\(axis.name)=\(value)")
            case .fleetKey(let path): keys.append((path, value))
            }
        }
        if !options.isEmpty { workload += (workload.contains("?") ? "&" : "?") + options.joined(separator: "&") }
        var description = try WorkloadDescription(parsing: workload)
        if !workload.contains("seed=") { description.options.seed = seed }
        return Point(
            fleet: try specification(at: fleet, setting: keys), instances: instances, workload: description, seed: seed)
    }

    private func specification(
        at path: String, setting keys: [(path: [String], value: String)]
    ) throws
        -> FleetSpecification
    {
        let beside = folder.appendingPathComponent(path).path
        let found = !path.hasPrefix("/") && FileManager.default.fileExists(atPath: beside) ? beside : path
        guard !keys.isEmpty else { return try FleetSpecification(contentsOf: found) }
        return try FleetSpecification(contentsOf: found) { root in
            for (path, value) in keys { root = try root.setting(path, to: value) }
        }
    }
}

extension SweepAxis {
    init(name: String, _ value: YAMLValue) throws {
        self.name = name
        place = value.place
        switch name {
        case "fleet": target = .fleet
        case "workload": target = .workload
        case "seed": target = .seed
        case "instances": target = .instances
        case "placement": target = .fleetKey(["placement"])
        default:
            if SweepSpecification.workloadOptions.contains(name) {
                target = .workloadOption
            } else if name.contains(".") {
                target = .fleetKey(name.split(separator: ".").map(String.init))
            } else {
                let known =
                    ["fleet", "workload", "seed", "instances", "placement"] + SweepSpecification.workloadOptions
                throw FleetError(
                    "nothing called '\(name)' can vary\(suggestion(for: name, among: known)); a key of the fleet file "
                        + "is written with its path, such as pools.*.deployment.max_num_seqs", at: value.place)
            }
        }
        values = try Self.values(value)
        guard !values.isEmpty else { throw FleetError("'\(name)' varies over no values", at: place) }
        if Set(values).count < values.count { throw FleetError("'\(name)' has a value twice", at: place) }
        for text in values { try check(text) }
    }

    /// A list, or a range of whole numbers: `{ from: 1, to: 16, times: 2 }` or `{ from: 1, to: 9, step: 2 }`.
    private static func values(_ value: YAMLValue) throws -> [String] {
        if value.isList { return try value.list().map { try $0.string() } }
        let map = try value.mapping(keys: ["from", "to", "step", "times"])
        let bound = 0...1_000_000_000
        let from = try map.required("from").integer(in: bound, unit: "the first value")
        let to = try map.required("to").integer(in: bound, unit: "the last value")
        let step = try map["step"]?.integer(in: 1...1_000_000_000, unit: "the step")
        let times = try map["times"]?.integer(in: 2...1_000_000, unit: "the factor")
        if step != nil && times != nil { throw FleetError("give either 'step' or 'times'", at: value.place) }
        if times != nil && from == 0 { throw FleetError("a range by 'times' starts above 0", at: value.place) }
        var values: [String] = []
        var next = from
        while next <= to && values.count <= SweepSpecification.mostRuns {
            values.append(String(next))
            next = times.map { next * $0 } ?? next + (step ?? 1)
        }
        return values
    }

    private func check(_ text: String) throws {
        switch target {
        case .seed where UInt64(text) == nil:
            throw FleetError("'\(name)' takes whole numbers of at least 0, not '\(text)'", at: place)
        case .instances where !(Int(text).map { $0 > 0 } ?? false):
            throw FleetError("'\(name)' takes whole numbers above 0, not '\(text)'", at: place)
        default: break
        }
    }
}
