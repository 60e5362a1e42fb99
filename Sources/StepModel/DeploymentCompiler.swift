//===----------------------------------------------------------------------===//
// From a deployment to its step table.
//===----------------------------------------------------------------------===//

public import Catalog
import Foundation

extension Deployment {
    /// Compiles the deployment: looks up every figure, checks that it fits, and fills the step table.
    /// - Throws: an unknown name, a missing figure, an impossible setting, or by how many GiB it does not fit.
    public func compile(
        catalog: Catalog = .builtIn, calibration: Calibration = .builtIn
    ) throws(DeploymentError) -> CompiledDeployment {
        try Blueprint(self, catalog: catalog, calibration: calibration).compiled()
    }
}

/// A deployment with every name resolved: what tables, memory plans and single predictions are computed from.
struct Blueprint: Sendable {
    var deployment: Deployment
    var model: Model
    var hardware: DeviceFigures
    var instance: Instance
    var operators: OperatorModel
    var memory: MemoryPlan
    var calibrated: [Calibration.Value]
    var scopes: [String]
    var calibration: Calibration
    var grades: [Grade]
    var assumptions: [String]
    var thermalDesignRange: ClosedRange<Double>

    init(_ deployment: Deployment, catalog: Catalog, calibration: Calibration) throws(DeploymentError) {
        try deployment.checkSettings()
        let lookup = try HardwareLookup(instance: deployment.instance, logicalCore: deployment.logicalCore, in: catalog)
        let model: Model
        do throws(CatalogError) { model = try catalog.model(nameOrPath: deployment.model) } catch {
            throw .catalog(error)
        }
        let device = lookup.device
        guard deployment.stack.isPhased == device.generation.isNeuron else {
            throw .invalid(
                "stack \(deployment.stack.rawValue) does not run on \(lookup.accelerator.id); "
                    + (device.generation.isNeuron ? "use vllm-neuron or nxdi" : "use vllm, trtllm or sglang")
            )
        }
        let scopes = Calibration.scopes(
            generation: device.generation, stack: deployment.stack, release: deployment.release)
        let (coefficients, used) = try calibration.resolved(scopes: scopes)
        var grades = lookup.grades + [model.grade] + used.map(\.grade)
        var assumptions = lookup.assumptions
        if device.generation == .trainium3 {
            assumptions.append("Trainium3: efficiencies and floors carried over from Trainium2; nothing was measured")
            grades.append(.assumed)
        }

        let weights = deployment.precision ?? model.nativePrecision
        let experts =
            deployment.expertPrecision ?? (deployment.precision == nil ? model.nativeExpertPrecision : nil) ?? weights
        let operators = OperatorModel(
            layers: model.layerGroups.map { LayerProfile($0, hidden: model.hidden) },
            hidden: Double(model.hidden),
            vocabulary: Double(model.vocabulary),
            device: device,
            parallelism: deployment.parallelism,
            weightPrecision: weights,
            expertPrecision: experts,
            expertArithmetic: Self.arithmetic(of: experts, on: device.generation),
            weightArithmetic: Self.arithmetic(of: weights, on: device.generation),
            keyValuePrecision: deployment.keyValuePrecision,
            coefficients: coefficients,
            samplesOnHost: !deployment.samplesOnDevice,
            compiledSlots: deployment.stack.isPhased ? Double(deployment.maxSequences) : 0
        )
        self.memory = try MemoryPlan(deployment: deployment, model: model, operators: operators)
        self.deployment = deployment
        self.model = model
        self.hardware = device
        self.instance = lookup.instance
        self.operators = operators
        self.calibrated = used
        self.scopes = scopes
        self.calibration = calibration
        self.grades = grades
        self.assumptions = assumptions + memory.assumptions
        self.thermalDesignRange = lookup.thermalDesignRange
    }

    /// What a stored format multiplies in. NVFP4 is multiplied as such on Blackwell; MXFP4 weights meet MXFP8 activations
    /// on Blackwell and Trainium3 and are widened to 16 bit elsewhere; 8-bit weights run at 8 bit where a peak is known.
    static func arithmetic(of precision: Precision, on generation: DeviceGeneration) -> WidthClass {
        switch WidthClass(precision) {
        case .sixteen: .sixteen
        case .eight: precision == .int8 && generation.isNeuron ? .sixteen : generation == .ampere ? .sixteen : .eight
        case .four:
            switch (generation, precision) {
            case (.blackwell, .nvfp4): .four
            case (.blackwell, .mxfp4), (.trainium3, _): .eight
            default: .sixteen
            }
        }
    }

    /// Chips of one replica.
    var chips: Int { (deployment.parallelism.ranks + hardware.ranksPerChip - 1) / hardware.ranksPerChip }

    /// The same in fractions, where several replicas share a chip: what a replica is charged of its power.
    var chipShare: Double { Double(deployment.parallelism.ranks) / Double(hardware.ranksPerChip) }

    /// Chip nanojoules over the whole replica for work of a step that takes `seconds`; what the work leaves of
    /// them, the device waits for the host.
    func nanojoules(_ work: Work, seconds: Double) -> Double {
        let coefficients = operators.coefficients
        let waiting = max(0, seconds - work.seconds)
        let linear =
            coefficients[.powerFloor] * (seconds - waiting) + coefficients[.powerWaiting] * waiting
            + coefficients[.powerMemory] * work.memorySeconds + coefficients[.powerCompute] * work.computeSeconds
            + coefficients[.powerCache] * work.cacheSeconds + coefficients[.powerWidening] * work.widenedSeconds
        return min(linear, powerCap * seconds) * hardware.thermalDesignWatts * chipShare * 1e9
    }

    /// Highest chip power as a fraction of thermal design power.
    var powerCap: Double {
        let cap = operators.coefficients[.powerCap]
        guard let watts = deployment.chipPowerCapWatts else { return cap }
        return min(cap, watts / hardware.thermalDesignWatts)
    }

    func cost(_ work: Work, hostSeconds: Double = 0) -> StepCost {
        let seconds = work.seconds + hostSeconds
        return StepCost(
            picoseconds: Int64((seconds * 1e12).rounded()),
            nanojoules: Int64(nanojoules(work, seconds: seconds).rounded())
        )
    }

    // MARK: The whole

    func compiled() -> CompiledDeployment {
        let tables = TableBuilder(blueprint: self)
        let envelope = powerEnvelope()
        let chipCount = chips
        let perInstance = instance.acceleratorCount.value
        return CompiledDeployment(
            deployment: deployment,
            table: tables.build(),
            kvBlocks: memory.blocks,
            kvBlockTokens: memory.blockTokens,
            weightBytesPerChip: memory.weightBytesPerRank * Double(hardware.ranksPerChip),
            maxSequences: memory.maxSequences,
            maxModelTokens: deployment.maxModelTokens,
            maxBatchedTokens: tables.maxBatchedTokens,
            isPhased: deployment.stack.isPhased,
            decodeBuckets: tables.decodeBuckets,
            prefillBuckets: tables.prefillBuckets,
            contextBuckets: tables.contextBuckets,
            chipsPerReplica: chipCount,
            chipShare: chipShare,
            replicasPerInstance: chipCount <= perInstance
                ? perInstance * hardware.ranksPerChip / deployment.parallelism.ranks : 0,
            instancesPerReplica: (chipCount + perInstance - 1) / perInstance,
            power: envelope,
            compileSeconds: compileSeconds,
            loadSeconds: 5 + memory.weightBytesPerRank * Double(deployment.parallelism.ranks) / 10e9,
            uncertainty: uncertainty(),
            grade: (grades + [envelope.grade]).weakest,
            assumptions: assumptions
        )
    }

    /// Seconds to build the graphs. Neuron: 8B 2–4 min, 14–30B 5–15 min, 70B 15–20 min, up to 67 min for the largest
    /// mixtures (the compile_time rows of the references), which 1 min + 0.25 min per billion parameters follows. GPUs:
    /// graph capture and kernel compilation of about a minute, assumed.
    private var compileSeconds: Double {
        guard hardware.generation.isNeuron else { return 60 }
        return min(67 * 60, 60 * (1 + 0.25 * Double(model.parameters) / 1e9))
    }

    func powerEnvelope() -> PowerEnvelope {
        let count = chipShare
        let perInstance = Double(instance.acceleratorCount.value)
        var grade = Grade.measured
        let base: Double
        if let figure = instance.hostBaseWatts {
            base = figure.value
            grade = max(grade, figure.grade)
        } else {
            // The H200 servers of the references: 1.66 kW beside eight chips of 700 W.
            base = 0.30 * hardware.thermalDesignWatts * perInstance
            grade = .assumed
        }
        var slope = 1.13
        if let figure = instance.wallWattsPerAcceleratorWatt {
            slope = figure.value
            grade = max(grade, figure.grade)
        } else {
            grade = .assumed
        }
        return PowerEnvelope(
            idleChipWatts: hardware.idleWatts * count,
            maxChipWatts: powerCap * hardware.thermalDesignWatts * count,
            hostBaseWatts: base * count / perInstance,
            wallWattsPerChipWatt: slope,
            chipWattsRange: thermalDesignRange,
            grade: grade
        )
    }
}
