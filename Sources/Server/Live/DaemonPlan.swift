//===----------------------------------------------------------------------===//
// A configuration with its fleets looked up and compiled.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
public import Fleet
import StepModel
import Yard

/// Everything that can be wrong with a configuration has been found once one of these exists; `--check` stops here.
public struct DaemonPlan: Sendable {
    public var configuration: DaemonConfiguration
    public var fleet: FleetPlan
    public var baseline: FleetPlan?
    /// Names under which the model is served, the first in metrics.
    public var modelNames: [String]
    /// Counts prompts; nil estimates them.
    let tokenizer: Tokenizer?

    /// - Throws: `FleetError` or a catalogue error that says what does not exist or does not fit.
    public init(_ configuration: DaemonConfiguration) throws {
        self.configuration = configuration
        let catalog = try configuration.catalogDirectory.map { try Catalog(directory: $0) } ?? .builtIn
        fleet = try configuration.fleet.plan(catalog: catalog, calibration: .builtIn)
        // A port is a cell's: as many cells as the smallest pool has replicas, which is one replica each for a fleet of
        // one pool.
        if configuration.fleetView != nil { fleet.requestedCells = fleet.pools.map(\.replicas).min() }
        baseline = try configuration.baseline?.plan(catalog: catalog, calibration: .builtIn)
        let model = fleet.pools[0].compiled.deployment.model
        modelNames = configuration.modelNames.isEmpty ? [model] : configuration.modelNames
        tokenizer = try configuration.tokenizer.map { try TokenizerFile.read($0) }
        if let baseline, baseline.pools[0].compiled.deployment.model != model {
            throw FleetError(
                "the baseline serves \(baseline.pools[0].compiled.deployment.model), the fleet \(model): both sides of a comparison "
                    + "serve one model", at: configuration.baseline?.place ?? .nowhere)
        }
        for cell in fleet.cellConfigurations(seed: configuration.seed) { try cell.validate() }
        var owners: [[UInt8]: String] = [:]
        for key in configuration.keys {
            if let other = owners.updateValue(key.name, forKey: key.digest) {
                throw FleetError("the keys '\(other)' and '\(key.name)' are the same key", at: key.place)
            }
            guard let tenant = key.tenant else { continue }
            guard fleet.tenants.contains(where: { $0.name == tenant.value }) else {
                throw FleetError(
                    "key '\(key.name)': the fleet has no tenant '\(tenant.value)'", at: tenant.place)
            }
        }
    }

    /// Longest prompt plus output that every pool of the fleet can hold; what either side cannot hold is refused at the
    /// door.
    var maxModelTokens: Int32 {
        let sides = [fleet] + (baseline.map { [$0] } ?? [])
        return sides.flatMap(\.pools).map(\.configuration.maxModelTokens).min() ?? 1
    }

    /// What requests on the serving listener are judged by.
    func settings(startedSeconds: Int64) -> ServingSettings {
        var settings = ServingSettings(
            models: modelNames.map { ServedModel(name: $0, maxModelTokens: maxModelTokens) })
        settings.limits = configuration.limits
        settings.lengths = configuration.lengths
        settings.retryAfterSeconds = configuration.service.retryAfterSeconds
        settings.startedSeconds = startedSeconds
        settings.counting.tokenizer = tokenizer
        let pools = fleet.pools + (baseline?.pools ?? [])
        if pools.contains(where: { $0.configuration.prefixCaching != .off }) { settings.counting.tokensPerBlock = 16 }
        for key in configuration.keys {
            let tenant = key.tenant.flatMap { name in fleet.tenants.firstIndex { $0.name == name.value } }
            settings.keys.add(digest: key.digest, tenant: UInt16((tenant ?? -1) + 1), name: key.name)
        }
        return settings
    }

    /// Limits by tenant, the anonymous one first.
    var tenantLimits: [TenantLimits] {
        [TenantLimits()]
            + fleet.tenants.map {
                TenantLimits(
                    requestsPerMinute: $0.requestsPerMinute.map(Int64.init),
                    tokensPerMinute: $0.tokensPerMinute.map(Int64.init),
                    maxConcurrent: $0.maxConcurrent.map(Int64.init))
            }
    }

    /// What was planned, one line each, for `--check`.
    public var summary: [String] {
        var lines = ["fleet \(fleet.name): " + fleet.caption.joined(separator: "; ") + "; \(fleet.cells) cells"]
        if let baseline {
            lines.append(
                "baseline \(baseline.name): " + baseline.caption.joined(separator: "; ") + "; \(baseline.cells) cells")
        }
        lines.append("model names: " + modelNames.joined(separator: ", ") + "; context \(maxModelTokens) tokens")
        lines.append(
            tokenizer.map {
                "prompts counted by \(configuration.tokenizer ?? "")"
                    + " (\($0.vocabularySize) tokens, \($0.fillerDescription))"
            }
                ?? "prompts counted by an estimate of about one token a word; a tokenizer file counts exactly")
        lines.append("time scale \(configuration.timeScale)")
        lines.append("grade \(fleet.grade.rawValue)")
        return lines + configuration.surfaces
    }
}
