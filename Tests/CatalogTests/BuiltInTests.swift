import Foundation
import Testing

@testable import Catalog

@Suite("Built-in catalogue")
struct BuiltInTests {
    let catalog = Catalog.builtIn

    @Test("every number carries a grade, a source and a date")
    func everyFigureHasItsOrigin() throws {
        let encoder = JSONEncoder()
        var figures = 0
        for (name, data) in [
            ("accelerators", try encoder.encode(catalog.accelerators)),
            ("instances", try encoder.encode(catalog.instances)),
            ("regions", try encoder.encode(catalog.regions)), ("facts", try encoder.encode(catalog.facts)),
        ] {
            try walk(try JSONSerialization.jsonObject(with: data), name, &figures)
        }
        #expect(figures > 500)
        for price in catalog.prices.prices { #expect(!price.source.isEmpty) }
        for model in catalog.models {
            #expect(!model.source.isEmpty)
            #expect(model.date != nil)
        }
        for fit in catalog.allReduceFits { #expect(!fit.source.isEmpty) }
        for efficiency in catalog.matrixEfficiencies { #expect(!efficiency.source.isEmpty) }
    }

    /// Any object with a "value" is a figure or an alternative; any other number must stand in one.
    private func walk(_ json: Any, _ path: String, _ figures: inout Int) throws {
        if let object = json as? [String: Any] {
            if object["value"] != nil {
                figures += 1
                #expect(Grade(rawValue: object["grade"] as? String ?? "") != nil, "\(path) has no grade")
                #expect(!(object["source"] as? String ?? "").isEmpty, "\(path) has no source")
                #expect(CalendarDay(object["date"] as? String ?? "") != nil, "\(path) has no date")
                if let alternatives = object["alternatives"] { try walk(alternatives, path, &figures) }
                return
            }
            for (key, value) in object {
                // The size of a mode and the sides of a torus name the thing; they are not measured.
                if key == "coresPerLogicalCore" || key == "dimensions" || key == "isDefault" { continue }
                #expect(!(value is NSNumber), "\(path).\(key) is a number without a source")
                try walk(value, "\(path).\(key)", &figures)
            }
        } else if let array = json as? [Any] {
            for (index, value) in array.enumerated() { try walk(value, "\(path)[\(index)]", &figures) }
        }
    }

    @Test("what refers to something refers to something that is there")
    func references() throws {
        for instance in catalog.instances {
            let accelerator = try catalog.accelerator(of: instance)
            #expect(instance.topology.dimensions.reduce(1, *) == instance.scaleUpDomain.value, "\(instance.id)")
            #expect(instance.scaleUpDomain.value <= instance.acceleratorCount.value, "\(instance.id)")
            #expect(accelerator.id == instance.accelerator)
        }
        for price in catalog.prices.prices {
            if price.isPerAccelerator {
                _ = try catalog.accelerator(price.subject)
            } else {
                _ = try catalog.instance(price.subject)
            }
            #expect(price.microDollarsPerHour > 0)
        }
    }

    @Test("aggregates that AWS prints are what its chips add up to")
    func aggregates() throws {
        var compared = 0
        for instance in catalog.instances {
            let accelerator = try catalog.accelerator(of: instance)
            let count = Double(instance.acceleratorCount.value)
            for fact in instance.facts {
                let per: Double?
                switch fact.id.split(separator: ".").last {
                case "memory-bytes": per = accelerator.memoryBytes?.value
                case "memory-bytes-per-second": per = accelerator.memoryBytesPerSecond?.value
                case "fp8-flops", "mxfp8-flops": per = accelerator.peakFlopsPerSecond[.fp8]?.value
                case "bf16-flops": per = accelerator.peakFlopsPerSecond[.bf16]?.value
                default: per = nil
                }
                guard let per, let whole = fact.number?.value else { continue }
                compared += 1
                #expect(abs(per * count / whole - 1) < 0.005, "\(fact.id): \(per) x \(count) against \(whole)")
            }
        }
        #expect(compared >= 18)
    }

    @Test("conflicting sources are kept beside one another")
    func conflicts() throws {
        let trainium2 = try catalog.accelerator("trn2")
        #expect(trainium2.memoryBytesPerSecond?.range == 2.9e12...3.0e12)
        #expect(trainium2.collectiveCores?.allValues == [16, 20])
        let trainium3 = try catalog.accelerator("trainium3")
        #expect(trainium3.thermalDesignWatts?.range == 700...1000)
        #expect(trainium3.memoryBytesPerSecond?.allValues == [4.9e12, 4.7e12])
        let torus = try catalog.instance("trn1.32xlarge").facts.first {
            $0.id == "trn1.32xlarge.memory-bytes-per-second"
        }
        #expect(torus?.number?.allValues == [13.1e12, 9.8e12])
    }

    @Test("a missing figure is missing, and asking for it says what to supply")
    func missing() throws {
        let trainium1 = try catalog.accelerator("trainium1")
        #expect(trainium1.thermalDesignWatts == nil)
        let error = #expect(throws: CatalogError.self) { try trainium1.needed(\.thermalDesignWatts) }
        #expect(error?.kind == .missingFigure)
        #expect(error?.description.contains("trainium1") == true)
        #expect(error?.description.contains("thermalDesignWatts") == true)
        #expect(error?.description.contains("accelerators.json") == true)
        #expect(try catalog.accelerator("h100").needed(\.thermalDesignWatts).value == 700)
        let noPrecision = #expect(throws: CatalogError.self) { try catalog.accelerator("a100").peak(at: .fp8) }
        #expect(noPrecision?.description.contains("bf16") == true)
        let trainium4 = try catalog.accelerator("trainium4")
        #expect(throws: CatalogError.self) { try trainium4.needed(\.memoryBytes) }
    }

    @Test("every optional figure has a name to ask for it by")
    func figureNames() throws {
        // A figure that is absent everywhere would fall back to the key path's own description.
        #expect(Set(Accelerator.figureNames.values).count == Accelerator.figureNames.count)
        #expect(Set(Instance.figureNames.values).count == Instance.figureNames.count)
        #expect(Accelerator.figureNames[\Accelerator.power] == "power")
        #expect(Region.figureNames[\Region.carbonGramsPerKilowattHour] == "carbonGramsPerKilowattHour")
    }

    @Test("logical cores share out the chip's memory")
    func logicalCores() throws {
        for accelerator in catalog.accelerators where !accelerator.logicalCoreModes.isEmpty {
            #expect(accelerator.logicalCoreModes.filter(\.isDefault).count == 1)
            for mode in accelerator.logicalCoreModes {
                #expect(mode.coresPerLogicalCore * mode.logicalCores.value == accelerator.cores?.value)
                let total = mode.memoryBytesPerLogicalCore.value * Double(mode.logicalCores.value)
                #expect(total == accelerator.memoryBytes?.value)
            }
        }
        #expect(try catalog.accelerator("trn2").logicalCoreMode().logicalCores.value == 4)
        #expect(try catalog.accelerator("trn2").logicalCoreMode(1).logicalCores.value == 8)
        #expect(throws: CatalogError.self) { try catalog.accelerator("trn2").logicalCoreMode(8) }
        #expect(throws: CatalogError.self) { try catalog.accelerator("h100").logicalCoreMode() }
    }

    @Test("grades are ordered by trust")
    func grades() {
        #expect(Grade.measured < .published)
        #expect(Grade.published < .derived)
        #expect(Grade.derived < .assumed)
        #expect([Grade.measured, .assumed, .published].weakest == .assumed)
        #expect([Grade]().weakest == .measured)
    }

    @Test("what nobody measured is graded as assumed")
    func assumptions() throws {
        for name in ["trainium2", "trainium3"] {
            let accelerator = try catalog.accelerator(name)
            #expect(accelerator.power?.grade == .assumed)
            #expect(accelerator.idleWatts?.grade == .assumed)
            #expect(accelerator.thermalDesignWatts?.grade != .measured)
        }
        #expect(try catalog.instance("u-trn3x144").hostBaseWatts?.grade == .assumed)
        #expect(try catalog.accelerator("h100").power?.grade == .derived)
    }

    @Test("a summed link is halved one way")
    func links() throws {
        let trainium2 = try catalog.accelerator("trn2")
        #expect(try trainium2.link("scale-up").oneWayBytesPerSecond == 640e9)
        #expect(try trainium2.link("torus-xy").oneWayBytesPerSecond == 512e9)
        let error = #expect(throws: CatalogError.self) { try trainium2.link("torus-xyz") }
        #expect(error?.description.contains("torus-xy") == true)
    }

    @Test("the all-reduce fit gives back its own measurement at no bytes")
    func allReduce() throws {
        let fits = catalog.allReduceFits(accelerator: "h100", ranks: 8)
        #expect(fits.count >= 5)
        for fit in fits {
            #expect(fit.seconds(bytes: 0) == fit.alphaSeconds)
            #expect(fit.seconds(bytes: 2e6) > fit.alphaSeconds)
            #expect(fit.alphaSeconds < 100e-6)
        }
        #expect(
            catalog.matrixEfficiencies(accelerator: "h100").contains { $0.format == "bf16" && $0.computeMedian > 0.7 })
    }
}
