//===----------------------------------------------------------------------===//
// From a plan and a workload to a result.
//===----------------------------------------------------------------------===//

public import Fleet
public import Workload
public import Yard

extension Simulation {
    /// Runs a workload on a fleet until the last request has ended.
    ///
    /// - Parameter frontEnds: how many the arrivals come through; nil lets it follow from the workload. Beyond 1, a
    ///   generated workload is made as that many independent ones of an equal part of the rate; the requests then
    ///   depend on this number (and never on threads).
    /// - Throws: `WorkloadError` for a bad trace, `SimulationError` or `CellConfigurationError` for what cannot be run.
    public static func run(
        plan: FleetPlan, workload: Workload, frontEnds: Int? = nil, options: SimulationOptions = SimulationOptions()
    ) throws -> SimulationResult {
        var options = options
        options.closedLoop = workload.closedLoop
        if workload.closedLoop != nil { options.closedLoopEndNanoseconds = workload.durationNanoseconds }
        options.thinkSeed = workload.description.options.seed
        if options.limits.isEmpty { options.limits = plan.tenantLimits }
        let simulation = try Simulation(
            cells: plan.cellConfigurations(seed: options.seed),
            sources: try workload.sources(frontEnds: frontEnds ?? workload.frontEnds),
            options: options)
        return try simulation.run()
    }
}

extension FleetPlan {
    /// Limits by tenant number; tenant 0 is the anonymous one.
    public var tenantLimits: [TenantLimits] {
        [TenantLimits()]
            + tenants.map {
                TenantLimits(
                    requestsPerMinute: $0.requestsPerMinute.map(Int64.init),
                    tokensPerMinute: $0.tokensPerMinute.map(Int64.init), maxConcurrent: $0.maxConcurrent.map(Int64.init)
                )
            }
    }
}
