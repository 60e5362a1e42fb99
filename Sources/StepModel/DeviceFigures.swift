//===----------------------------------------------------------------------===//
// What one rank can do.
//===----------------------------------------------------------------------===//

import Catalog

/// Generations whose efficiencies are calibrated together.
public enum DeviceGeneration: String, Sendable, Hashable, CaseIterable {
    case ampere, ada, hopper, blackwell, cdna
    /// Trainium1 and Inferentia2 share a core and differ in host and links, so their floors are fitted apart.
    case trainium1, inferentia2, trainium2, trainium3

    public var isNeuron: Bool {
        switch self {
        case .trainium1, .inferentia2, .trainium2, .trainium3: true
        case .ampere, .ada, .hopper, .blackwell, .cdna: false
        }
    }

    /// The generation of an accelerator, by the beginning of its name.
    static func of(_ accelerator: Accelerator) throws(DeploymentError) -> DeviceGeneration {
        let prefixes: [(String, DeviceGeneration)] = [
            ("a10", .ampere), ("a30", .ampere), ("l4", .ada), ("rtx40", .ada), ("rtx4", .ada), ("h100", .hopper),
            ("h200", .hopper),
            ("b200", .blackwell), ("b300", .blackwell), ("gb200", .blackwell), ("gb300", .blackwell),
            ("rtxpro", .blackwell),
            ("mi3", .cdna), ("trainium1", .trainium1), ("inferentia2", .inferentia2), ("trainium2", .trainium2),
            ("trainium3", .trainium3),
        ]
        let name = accelerator.id.lowercased().filter { $0 != "-" && $0 != "_" && $0 != " " }
        if let found = prefixes.first(where: { name.hasPrefix($0.0) }) { return found.1 }
        throw .invalid(
            "accelerator \(accelerator.id) belongs to no calibrated generation "
                + "(\(allCases.map(\.rawValue).joined(separator: ", ")))"
        )
    }
}

/// The figures of one rank: a whole GPU, or one logical NeuronCore with its share of the chip.
struct DeviceFigures: Sendable, Hashable {
    var generation: DeviceGeneration
    /// Ranks on one chip or GPU package.
    var ranksPerChip: Int
    /// Dense peaks of one rank, FLOP/s, by width class; a class that the device does not multiply in runs at the next
    /// wider.
    var flopsPerSecond: [Double]
    var bytesPerSecond: Double
    /// Memory that software can allocate on one rank.
    var memoryBytes: Double
    /// Chips that reach each other without leaving the scale-up fabric.
    var scaleUpChips: Int
    /// One-way bandwidth out of one rank inside the scale-up fabric, and on the network beyond it.
    var scaleUpBytesPerSecond: Double
    var networkBytesPerSecond: Double
    /// Watts of one chip: what it may draw, and what it draws with no step running.
    var thermalDesignWatts: Double
    var idleWatts: Double

    func peak(_ width: WidthClass) -> Double { flopsPerSecond[width.rawValue] }
}

/// Width classes in which matrix efficiencies are calibrated.
enum WidthClass: Int, Sendable, CaseIterable {
    case sixteen, eight, four

    init(_ precision: Precision) {
        switch precision {
        case .fp32, .tf32, .bf16, .fp16: self = .sixteen
        case .fp8, .int8, .mxfp8: self = .eight
        case .mxfp4, .nvfp4, .int4: self = .four
        }
    }

    var label: String { ["16-bit", "8-bit", "4-bit"][rawValue] }
}

/// Figures taken from a catalogue, with the grades they rest on.
struct HardwareLookup {
    var device: DeviceFigures
    var instance: Instance
    var accelerator: Accelerator
    var grades: [Grade]
    var assumptions: [String]
    /// Lowest and highest thermal design power of any source, relative to the one used.
    var thermalDesignRange: ClosedRange<Double>

    /// Share of thermal design power that a chip is taken to draw when idle and no source says.
    static let assumedIdleFraction = 0.2
    /// Thermal design power of a first-generation NeuronCore-v2 chip, which no source gives.
    static let assumedNeuron2Watts = 175.0

    init(instance name: String, logicalCore: Int?, in catalog: Catalog) throws(DeploymentError) {
        do {
            let instance = try catalog.instance(name)
            let accelerator = try catalog.accelerator(of: instance)
            try self.init(instance: instance, accelerator: accelerator, logicalCore: logicalCore)
        } catch let error as CatalogError {
            throw .catalog(error)
        } catch let error as DeploymentError {
            throw error
        } catch { preconditionFailure("\(error)") }
    }

    private init(instance: Instance, accelerator: Accelerator, logicalCore: Int?) throws {
        self.instance = instance
        self.accelerator = accelerator
        let generation = try DeviceGeneration.of(accelerator)
        var grades: [Grade] = []
        var assumptions: [String] = []
        func take<Value>(_ figure: Figure<Value>) -> Value {
            grades.append(figure.grade)
            return figure.value
        }

        var ranks = 1
        var memory = take(try accelerator.usableMemoryBytes ?? accelerator.needed(\.memoryBytes))
        if generation.isNeuron {
            if accelerator.logicalCoreModes.isEmpty {
                ranks = take(try accelerator.needed(\.cores))
                memory /= Double(ranks)
            } else {
                let mode = try accelerator.logicalCoreMode(logicalCore)
                ranks = take(mode.logicalCores)
                memory = take(mode.memoryBytesPerLogicalCore)
            }
        }
        var peaks = [take(try accelerator.peak(at: .bf16)) / Double(ranks)]
        let eights: [Precision] = [.fp8, .mxfp8, .int8]
        peaks.append(
            eights.lazy.compactMap { accelerator.peakFlopsPerSecond[$0]?.value }.first.map { $0 / Double(ranks) }
                ?? peaks[0])
        let fours: [Precision] = [.nvfp4, .mxfp4]
        peaks.append(
            fours.lazy.compactMap { accelerator.peakFlopsPerSecond[$0]?.value }.first.map { $0 / Double(ranks) }
                ?? peaks[0])
        let bandwidth = take(try accelerator.needed(\.memoryBytesPerSecond)) / Double(ranks)

        let network =
            instance.networkBytesPerSecond.map { take($0) / Double(instance.acceleratorCount.value) / Double(ranks) }
            ?? 5e9
        if instance.networkBytesPerSecond == nil {
            assumptions.append("network of \(instance.id): 5 GB/s for each accelerator")
        }
        var scaleUp = network
        let levels = accelerator.links.filter { $0.level != "network" }
        if let link = levels.first {
            grades.append(link.bytesPerSecond.grade)
            scaleUp = link.oneWayBytesPerSecond / Double(ranks)
        } else if instance.acceleratorCount.value > 1 {
            assumptions.append(
                "\(accelerator.id) has no scale-up link in the catalogue: collectives use the network's figure")
        }

        let watts: Double
        var range = 1.0...1.0
        if let design = accelerator.thermalDesignWatts {
            watts = take(design)
            range = (design.range.lowerBound / watts)...(design.range.upperBound / watts)
        } else {
            watts = Self.assumedNeuron2Watts
            grades.append(.assumed)
            assumptions.append("\(accelerator.id): thermal design power \(Int(watts)) W (no source)")
            range = 0.7...1.3
        }
        let idle: Double
        if let figure = accelerator.idleWatts {
            idle = min(take(figure), 0.3 * watts)
        } else {
            idle = Self.assumedIdleFraction * watts
            assumptions.append(
                "\(accelerator.id): idle power \(Int(idle)) W, \(Int(100 * Self.assumedIdleFraction)) % of design power"
            )
            grades.append(.assumed)
        }
        device = DeviceFigures(
            generation: generation, ranksPerChip: ranks, flopsPerSecond: peaks, bytesPerSecond: bandwidth,
            memoryBytes: memory,
            scaleUpChips: max(1, instance.scaleUpDomain.value), scaleUpBytesPerSecond: scaleUp,
            networkBytesPerSecond: network, thermalDesignWatts: watts, idleWatts: idle
        )
        self.grades = grades
        self.assumptions = assumptions
        thermalDesignRange = range
    }
}
