//===----------------------------------------------------------------------===//
// From a specification to a plan: looking up, compiling, pricing.
//===----------------------------------------------------------------------===//

public import Catalog
import Engine
public import StepModel
import Yard

extension FleetSpecification {
    /// Looks up every name, compiles every deployment and finds every price.
    /// - Throws: `FleetError` at the place of what is unknown, impossible or unpriced.
    public func plan(catalog: Catalog, calibration: Calibration) throws -> FleetPlan {
        var grades: [Grade] = []
        var assumptions: [String] = []
        var plans: [PoolPlan] = []
        var next: Int32 = 0
        for pool in pools {
            var planned = try planned(pool, catalog: catalog, calibration: calibration)
            planned.firstReplica = next
            next += Int32(planned.replicas)
            grades.append(planned.compiled.grade)
            let sentences =
                planned.compiled.assumptions
                + planned.compiled.uncertainty.extrapolations.map { "beyond the calibration: \($0)" }
            assumptions += sentences.map { pools.count > 1 ? "\(pool.name): \($0)" : $0 }
            plans.append(planned)
        }
        try requireOneModel(plans)
        let transfer = try joined(&plans, catalog: catalog)
        let site = try site(catalog: catalog)
        let prices = try priced(&plans, catalog: catalog)
        let wall = powered(&plans, catalog: catalog)
        for part in [prices, transfer.known, site.known, wall] {
            grades += part.grades
            for sentence in part.assumptions where !assumptions.contains(sentence) { assumptions.append(sentence) }
        }
        return FleetPlan(
            name: name, pools: plans, site: site.plan, priceBasis: priceBasis, placement: placementChoice,
            waitingRoom: waitingRoom, replicaQueueLimit: Int32(limits.maxQueuedRequestsPerReplica ?? 64),
            classes: classes,
            tenants: tenants, requestedCells: cells, grade: grades.weakest, assumptions: assumptions,
            transfer: transfer.rules)
    }

    /// Grades and sentences that one part of a plan adds.
    struct Known {
        var grades: [Grade] = []
        var assumptions: [String] = []

        mutating func note(_ grade: Grade, _ assumption: String) {
            grades.append(grade)
            assumptions.append(assumption)
        }
    }

    private func requireOneModel(_ plans: [PoolPlan]) throws {
        for (plan, pool) in zip(plans, pools).dropFirst()
        where plan.compiled.deployment.model != plans[0].compiled.deployment.model {
            throw FleetError(
                "pool '\(pool.name)' serves \(pool.deployment.model.value), pool '\(pools[0].name)' serves "
                    + "\(pools[0].deployment.model.value): the pools of one fleet serve one model, and a request may go to "
                    + "any of them; write two fleets", at: pool.deployment.model.place)
        }
    }

    // MARK: Pools

    private func planned(_ pool: PoolSpecification, catalog: Catalog, calibration: Calibration) throws -> PoolPlan {
        let instance: Instance
        do { instance = try catalog.instance(pool.instance.value) } catch {
            throw FleetError(error.description, at: pool.instance.place)
        }
        do { _ = try catalog.model(nameOrPath: pool.deployment.model.value) } catch {
            throw FleetError(error.description, at: pool.deployment.model.place)
        }
        let compiled: CompiledDeployment
        do {
            compiled = try pool.deployment.deployment(on: instance.id).compile(
                catalog: catalog, calibration: calibration)
        } catch { throw FleetError(error.description, at: pool.deployment.place) }
        if compiled.replicasPerInstance == 0, !pool.instances.isMultiple(of: compiled.instancesPerReplica) {
            throw FleetError(
                "a replica spans \(compiled.instancesPerReplica) instances of \(instance.id), and pool '\(pool.name)' has "
                    + "\(pool.instances): make it a multiple", at: pool.place)
        }
        let configuration = pool.deployment.replicaConfiguration(of: compiled)
        if let problem = configuration.problem { throw FleetError(problem, at: pool.deployment.place) }
        return PoolPlan(
            name: pool.name, instance: instance, instances: pool.instances, compiled: compiled,
            configuration: configuration,
            firstReplica: 0, microDollarsPerInstanceHour: nil,
            power: PoolPower(idleChipWatts: 0, maxChipWatts: 0, hostWatts: 0, wallPerChipWatt: 1, networkWatts: 0))
    }

    // MARK: Prices

    private var priceBasis: String {
        guard let price else {
            return pools.allSatisfy { $0.usdPerHour != nil } ? "usd_per_hour" : "none given"
        }
        if let usdPerHour = price.usdPerHour { return "usd_per_hour \(usdPerHour)" }
        guard let basis = price.basis else { return "none given" }
        return price.date.map { "\(basis.value) \($0.value)" } ?? basis.value
    }

    private func priced(_ plans: inout [PoolPlan], catalog: Catalog) throws -> Known {
        var known = Known()
        for (index, pool) in pools.enumerated() {
            if let usd = pool.usdPerHour ?? price?.usdPerHour {
                plans[index].microDollarsPerInstanceHour = Int64((usd * 1e6).rounded())
                known.assumptions.append(
                    "price of \(pool.instance.value): \(usd) USD per hour, given in the fleet file")
                known.grades.append(.assumed)
            } else if let basis = price?.basis, let kind = PriceBasis(rawValue: basis.value) {
                let day = price?.date.flatMap { CalendarDay($0.value) } ?? CalendarDay("9999-12-31")!
                do {
                    let quote = try catalog.price(
                        plans[index].instance.id, basis: kind, region: region?.value ?? "global", date: day,
                        orElsewhere: true)
                    plans[index].microDollarsPerInstanceHour = quote.microDollarsPerHour
                    known.grades.append(quote.grade)
                    known.assumptions.append(quote.statement)
                } catch { throw FleetError(error.description, at: basis.place) }
            }
        }
        if price == nil, !pools.allSatisfy({ $0.usdPerHour != nil }) {
            known.assumptions.append("no price in the fleet file: costs are not reported")
        }
        return known
    }

    // MARK: Site

    private func site(catalog: Catalog) throws -> (plan: SitePlan, known: Known) {
        var plan = SitePlan(
            region: region?.value, pue: site.pue, wueLitresPerKWh: site.wueLitresPerKWh,
            gramsCO2ePerKWh: site.gramsCO2ePerKWh)
        var known = Known()
        var place: Region?
        if let region {
            do { place = try catalog.region(region.value) } catch {
                throw FleetError(error.description, at: region.place)
            }
            plan.region = place?.id
        } else if plan.pue == nil {
            known.assumptions.append("no region and no pue: facility energy and carbon are not reported")
        }
        func take(
            _ target: WritableKeyPath<SitePlan, Double?>, _ grade: WritableKeyPath<SitePlan, Grade?>,
            _ figure: Figure<Double>?, _ what: String, _ unit: String
        ) {
            if let given = plan[keyPath: target] {
                plan[keyPath: grade] = .assumed
                known.note(.assumed, "\(what) \(given)\(unit), given in the fleet file")
            } else if let figure, let place {
                plan[keyPath: target] = figure.value
                plan[keyPath: grade] = figure.grade
                known.note(
                    figure.grade,
                    "\(what) of \(place.id) \(figure.value)\(unit), \(figure.grade.rawValue): \(figure.source)")
            } else if let place {
                known.assumptions.append("no \(what) is known for \(place.id): what rests on it is not reported")
            }
        }
        take(\.pue, \.pueGrade, place?.powerUsageEffectiveness, "PUE", "")
        take(\.wueLitresPerKWh, \.wueGrade, place?.waterLitresPerKilowattHour, "WUE", " L/kWh")
        take(\.gramsCO2ePerKWh, \.carbonGrade, place?.carbonGramsPerKilowattHour, "grid carbon", " gCO2e/kWh")
        return (plan, known)
    }

    // MARK: Power

    private func powered(_ plans: inout [PoolPlan], catalog: Catalog) -> Known {
        var known = Known()
        func whole(_ watts: Double) -> String { String(Int(watts.rounded())) }
        for instance in plans.map(\.instance) {
            guard let accelerator = try? catalog.accelerator(of: instance), let limit = accelerator.thermalDesignWatts,
                let power = accelerator.power
            else { continue }
            let range = limit.range
            let watts =
                range.lowerBound == range.upperBound
                ? whole(limit.value)
                : "\(whole(limit.value)) (\(whole(range.lowerBound)) to \(whole(range.upperBound)))"
            // A source that is itself an assumption says so in its first word.
            let origin = power.source.hasPrefix("assumed: ") ? power.source : "\(power.grade.rawValue): \(power.source)"
            let sentence =
                "chip power of \(accelerator.id): TDP \(watts) W, \(limit.grade.rawValue); what work draws of it, \(origin)"
            if !known.assumptions.contains(sentence) { known.assumptions.append(sentence) }
        }
        for (index, pool) in pools.enumerated() {
            let overrides = pool.power.or(power)
            let compiled = plans[index].compiled
            let instance = plans[index].instance
            func given(_ value: Double?, _ key: String) -> Double? {
                guard let value else { return nil }
                known.grades.append(.assumed)
                known.assumptions.append("\(instance.id): \(key) \(value), given in the fleet file")
                return value
            }
            let chips = Double(instance.acceleratorCount.value)
            let replicaChips = compiled.chipShare
            plans[index].power = PoolPower(
                idleChipWatts: compiled.idleChipWatts / replicaChips,
                maxChipWatts: compiled.maxChipWatts / replicaChips,
                hostWatts: given(overrides.hostWatts, "host_watts") ?? compiled.power.hostBaseWatts / replicaChips
                    * chips,
                wallPerChipWatt: given(overrides.wallPerChipWatt, "wall_watts_per_chip_watt")
                    ?? compiled.power.wallWattsPerChipWatt,
                networkWatts: given(overrides.networkWatts, "network_watts") ?? 0)
        }
        if pools.contains(where: { $0.power.or(power).networkWatts == nil }) {
            known.assumptions.append(
                "network switches are not in the wall power (network_watts under 'power' adds them)")
        }
        return known
    }

    // MARK: The yard

    private var placementChoice: PlacementChoice {
        var choice = PlacementChoice(policy: placement.value)
        if let seconds = classes.first?.ttftSeconds {
            choice.ttftTargetMicroseconds = UInt32((seconds * 1e6).rounded())
        }
        if let seconds = classes.first?.tpotSeconds {
            choice.tpotTargetMicroseconds = UInt32((seconds * 1e6).rounded())
        }
        return choice
    }

    private var waitingRoom: WaitingRoomRules {
        var rules = WaitingRoomRules()
        if !classes.isEmpty {
            rules.classes = classes.map {
                WaitingRoomRules.PriorityClass(
                    name: $0.name, maxWaitingRequests: $0.maxQueuedRequests ?? .max,
                    promoteAfterNanoseconds: Int64((($0.promoteAfterSeconds ?? 0) * 1e9).rounded()))
            }
        }
        if let bound = limits.maxQueuedRequests { rules.maxWaitingRequests = bound }
        if let bound = limits.maxQueuedTokens { rules.maxWaitingTokens = Int64(bound) }
        if let bound = limits.maxQueuedRequestsPerTenant { rules.maxWaitingRequestsPerTenant = bound }
        // Tenant 0 is the anonymous one.
        rules.tenantWeights = [1] + tenants.map { Int64($0.weight) }
        return rules
    }
}
