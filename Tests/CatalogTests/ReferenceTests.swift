import Testing

@testable import Catalog

/// The catalogue against the reference tables beside the checkout; skipped where they are not.
@Suite("Reference data beside the checkout", .enabled(if: Reference.isThere, "no ../shared beside the checkout"))
struct ReferenceTests {
    let catalog = Catalog.builtIn

    /// Names in the measurements that no shape was found for, or that are no decoder language models.
    static let unknownModels: Set<String> = [
        // Not decoder language models.
        "bert-99", "stable-diffusion-xl", "google/flan-t5-xl", "t5-3b",
        // The row does not say which.
        "gemma-3 vision (size not stated)", "unspecified (example output)",
        // No public configuration was found, or what was found contradicts itself.
        "EXAONE-4.0-1.2B", "Falcon-H1-0.5B-Instruct", "Janus-1.3B", "MiniCPM4-8B", "Ministral-4b-instruct",
        "helium-1-2b", "hunyuan-7b-instruct", "idefics-9b-instruct", "vaultgemma-1b",
    ]

    @Test("every model name of the measurements resolves, or is a known unknown")
    func modelNames() throws {
        var names: Set<String> = []
        for file in ["data/gpu_measured.csv", "data/neuron_measured.csv"] {
            for row in try Reference.rows(file) { names.insert(try #require(row["model"])) }
        }
        #expect(names.count > 100)
        for name in names.sorted() {
            let found = (try? catalog.model(name)) != nil
            #expect(found != Self.unknownModels.contains(name), "\(name): found \(found)")
        }
    }

    @Test("every instance and GPU of the measurements resolves")
    func hardwareNames() throws {
        for row in try Reference.rows("data/neuron_measured.csv") {
            let name = try #require(row["instance"])
            if name != "unspecified" { _ = try catalog.instance(name) }
        }
        for row in try Reference.rows("data/gpu_measured.csv") {
            // "-pcap" is the same GPU with its power capped.
            let name = try #require(row["gpu"]).replacing("-pcap", with: "")
            _ = try catalog.accelerator(name)
        }
    }

    @Test("peaks, bandwidths, TDPs and prices are those of the GPU table")
    func graphicsProcessors() throws {
        for row in try Reference.rows("data/gpu_catalogue.csv") {
            let name = try #require(row["gpu"])
            let accelerator = try catalog.accelerator(name.replacing(" (p5e)", with: ""))
            func agrees(_ column: String, _ values: [Double], scale: Double) {
                guard let text = row[column], let number = Double(text) else { return }
                #expect(
                    values.contains { abs($0 / (number * scale) - 1) < 1e-3 },
                    "\(name) \(column): \(number) against \(values)")
            }
            agrees("bf16_dense_tflops", accelerator.peakFlopsPerSecond[.bf16]?.allValues ?? [], scale: 1e12)
            agrees("fp8_dense_tflops", accelerator.peakFlopsPerSecond[.fp8]?.allValues ?? [], scale: 1e12)
            let fourBit = accelerator.peakFlopsPerSecond[.nvfp4] ?? accelerator.peakFlopsPerSecond[.mxfp4]
            agrees("fp4_dense_tflops", fourBit?.allValues ?? [], scale: 1e12)
            agrees("hbm_bw_tb_s", accelerator.memoryBytesPerSecond?.allValues ?? [], scale: 1e12)
            agrees("tdp_w", accelerator.thermalDesignWatts?.allValues ?? [], scale: 1)
            agrees("scale_up_gb_s_unidir", accelerator.links.map(\.oneWayBytesPerSecond), scale: 1e9)
            func dollars(_ subject: String, _ basis: PriceBasis) -> [Double] {
                catalog.prices.prices(of: subject).filter { $0.basis == basis }.map {
                    Double($0.microDollarsPerHour) / 1e6
                }
            }
            agrees("semianalysis_tco_hyperscaler_usd_gpu_h", dollars(accelerator.id, .ownership), scale: 1)
            agrees("semianalysis_tco_neocloud_usd_gpu_h", dollars(accelerator.id, .ownershipNeocloud), scale: 1)
            agrees("semianalysis_3yr_rental_usd_gpu_h", dollars(accelerator.id, .rental3Year), scale: 1)
            agrees("nebius_ondemand_usd_gpu_h", dollars(accelerator.id, .market), scale: 1)
            if let instance = row["aws_instance"], let found = try? catalog.instance(instance) {
                agrees("aws_ondemand_usd_instance_h", dollars(found.id, .onDemand), scale: 1)
                agrees("aws_capacity_block_usd_instance_h", dollars(found.id, .capacityBlock), scale: 1)
                agrees("gpus_per_instance", [Double(found.acceleratorCount.value)], scale: 1)
            }
        }
    }

    private static let systems = [
        "a100_sxm": "a100-80g", "h100_sxm": "h100", "h200_sxm": "h200", "b200_sxm": "b200", "gb200": "gb200",
        "b300_sxm": "b300", "gb300": "gb300", "l40s": "l40s",
    ]

    @Test("all-reduce fits are those of the measurements")
    func allReduce() throws {
        let rows = try Reference.rows("data/gpu_allreduce_fit.csv")
        for row in rows {
            let system = try #require(row["sys"])
            let accelerator = try #require(Self.systems[system])
            let software = try #require(row["tag"]).replacing("/", with: "-")
            let alpha = try #require(Double(row["alpha_us"] ?? "")) * 1e-6
            let perMegaElement = try #require(Double(row["beta_us_per_M"] ?? "")) * 1e-6
            let ranks = try #require(Int(row["gpus"] ?? ""))
            let fits = catalog.allReduceFits(accelerator: accelerator, ranks: ranks).filter { $0.software == software }
            // A million BF16 elements are 2 MB.
            let found = fits.contains {
                abs($0.alphaSeconds / alpha - 1) < 1e-4 && abs($0.secondsPerByte * 2e6 / perMegaElement - 1) < 1e-4
            }
            #expect(found, "\(system) \(software) \(ranks)")
        }
        #expect(catalog.allReduceFits.count == rows.count)
    }

    @Test("matrix efficiencies are those of the measurements")
    func matrices() throws {
        for row in try Reference.rows("data/gpu_gemm_efficiency.csv") {
            guard let system = row["sys"], let accelerator = Self.systems[system] else { continue }
            let software = try #require(row["fw"]).replacing("/", with: "-")
            let median = try #require(Double(row["mfu_p50"] ?? ""))
            let found = catalog.matrixEfficiencies(accelerator: accelerator).contains {
                $0.software == software && $0.computeMedian == median && $0.memoryMedian == Double(row["mbu_p50"] ?? "")
            }
            #expect(found, "\(system) \(software)")
        }
    }

    @Test("PUE and WUE are those of the region table")
    func regions() throws {
        for row in try Reference.rows("traces/aws-region-facts/aws_pue_wue.csv") {
            let region = try catalog.region(try #require(row["aws_region"]))
            if let value = Double(row["pue"] ?? "") {
                #expect(region.powerUsageEffectiveness?.allValues.contains(value) == true, "\(region.id)")
            }
            if let value = Double(row["wue_l_per_kwh"] ?? "") {
                #expect(region.waterLitresPerKilowattHour?.allValues.contains(value) == true, "\(region.id)")
            }
        }
    }
}
