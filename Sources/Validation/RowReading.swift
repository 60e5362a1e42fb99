//===----------------------------------------------------------------------===//
// What the words in a row's cells mean.
//===----------------------------------------------------------------------===//

import Catalog

/// Reads units, formats and counts as published tables write them. What is not understood refuses its row.
enum RowReading {
    static let mostTokens = 4e6
    static let mostSequences = 4096

    /// What a printed value is multiplied with to get seconds, tokens or requests a second, joules or watts.
    /// - Parameter chips: what rates per GPU are multiplied with.
    static func scale(
        _ row: MeasuredRow, for quantity: Experiment.Quantity, chips: Double?
    ) -> Result<Double, RefusalReason> {
        let unit = row.unit.lowercased().replacing(" ", with: "").replacing("(in+out)", with: "")
        let known: [String: Double]
        switch quantity {
        case .tpot, .interTokenLatency, .ttft, .prefill, .endToEnd, .latencyPerToken:
            known = [
                "s": 1, "sec": 1, "seconds": 1, "ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "µs": 1e-6,
                "μs": 1e-6, "ms/tok": 1e-3, "ms/token": 1e-3, "s/tok": 1, "s/token": 1,
            ]
        case .outputThroughput, .totalThroughput, .requestSpeed:
            let words = ["tok/s", "tokens/s", "token/s", "tok/sec", "tokens/sec", "tps"]
            var rates = Dictionary(uniqueKeysWithValues: words.map { ($0, 1.0) })
            for word in words { for each in ["user", "request"] { rates["\(word)/\(each)"] = 1 } }
            for word in words {
                for each in ["gpu", "chip", "accelerator"] { if let chips { rates["\(word)/\(each)"] = chips } }
            }
            known = rates
        case .requestThroughput:
            known = ["req/s": 1, "requests/s": 1, "req/sec": 1, "requests/sec": 1, "rps": 1, "qps": 1]
        case .energyPerToken: known = ["j/tok": 1, "j/token": 1, "mj/tok": 1e-3, "mj/token": 1e-3, "j": 1]
        case .energyPerRequest: known = ["j/request": 1, "j/req": 1, "kj/request": 1e3, "wh/request": 3600, "j": 1]
        case .chipPower, .wallPower, .idleWallPower:
            known = row.metric.hasSuffix("fraction_of_tdp") ? ["fraction": 1, "%": 0.01] : ["w": 1, "kw": 1e3]
        }
        if let scale = known[unit] { return .success(scale) }
        return .failure(
            .init(
                "the unit '\(row.unit)' of \(row.metric) is not one of \(known.keys.sorted().joined(separator: ", "))"))
    }

    /// The format of weights, and of KV entries where recipes keep them in the same width. Names of checkpoints say more
    /// than the format (`fp8_block`, `AWQ`, `w4a16`); nil for what is not known.
    static func precision(_ text: String) -> Precision? {
        let name = text.lowercased().prefix { $0 != " " && $0 != "(" && $0 != ";" && $0 != "," }
            .replacing("-", with: "_")
        switch name {
        case "", "nan", "none", "n/a", "auto", "bf16", "bfloat16", "fp16", "float16", "half": return .bf16
        case "fp32", "float32": return .fp32
        case "fp8", "float8", "e4m3", "fp8_e4m3", "f8e4m3", "fp8_block", "fp8_dynamic", "fp8_static", "w8a8_fp8":
            return .fp8
        case "mxfp8": return .mxfp8
        case "int8", "w8a8", "w8a16", "w8a8_int8": return .int8
        case "fp4", "nvfp4", "w4a4", "nvfp4_w4a4": return .nvfp4
        case "mxfp4", "w4a8_mxfp4": return .mxfp4
        case "int4", "w4a16", "awq", "gptq", "awq_int4", "gptq_int4", "awq_marlin", "gptq_marlin": return .int4
        default: return nil
        }
    }

    /// A whole number of sequences or clients.
    static func count(_ text: String) -> Int? {
        guard let value = Double(text), value >= 1, value <= Double(mostSequences) else { return nil }
        return Int(value.rounded(.up))
    }

    /// Why the row cannot be read at all, before anything of it is looked up.
    static func problem(_ row: MeasuredRow) -> RefusalReason? {
        if let problem = row.problem { return .init(problem) }
        if let value = row.value, value <= 0 { return .init("the value is not above 0") }
        for (name, tokens) in [("input_len", row.inputTokens), ("output_len", row.outputTokens)] {
            if let tokens, tokens > mostTokens || tokens < 1 && tokens > 0 {
                return .init("\(name) is \(tokens); it must lie in 1...\(Int(mostTokens))")
            }
        }
        if let chips = row.chips, chips > 4096 || chips <= 0 {
            return .init("\(chips) chips; they must lie in 0...4096")
        }
        return nil
    }

    /// A model that the catalogue has, or its own words about the nearest one.
    static func model(_ name: String, in catalog: Catalog) -> RefusalReason? {
        do throws(CatalogError) {
            _ = try catalog.model(nameOrPath: name)
            return nil
        } catch { return .init("\(error)") }
    }
}
