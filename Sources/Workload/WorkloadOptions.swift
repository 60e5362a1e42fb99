//===----------------------------------------------------------------------===//
// The options after the `?` of a workload.
//===----------------------------------------------------------------------===//

import Spelling

/// What can be said about a workload after its name: `?rate=8&seed=3&duration=600`.
public struct WorkloadOptions: Equatable, Sendable {
    /// Mean requests per second. Replaces a trace's own pace (its pattern is kept unless `arrivals` is given).
    public var rate: Double?
    /// Seed of everything that is drawn.
    public var seed: UInt64 = 1
    /// Arrivals after this many seconds are dropped.
    public var durationSeconds: Double?
    /// Multiplies the rate: a trace runs this many times faster, a generator produces this many times as much.
    public var scale: Double = 1
    /// At most this many requests.
    public var limit: Int?
    /// Only the requests of this stretch of the trace's own clock, in seconds; its start becomes time 0.
    public var window: Range<Double>?
    /// The law of the gaps. nil: the trace's own times, or Poisson where there are none.
    public var arrivals: GapLaw?
    /// Rates over time instead of one rate.
    public var stages: [RateStage]?
    /// Closed loop with this many clients, and their think time.
    public var concurrency: Int?
    public var thinkSeconds: Double?
    public var thinkVaries = false
    /// Longer prompts and outputs are shortened to these; `maxTotal` shortens the prompt, then the output.
    public var maxPrompt: Int32?
    public var maxOutput: Int32?
    public var maxTotal: Int32?
    /// How often a trace is run through, one time after the other.
    public var repeats: Int?
    /// Requests that bear the same time are spread over this many seconds (Mooncake stamps batches of 3 s).
    public var spreadSeconds: Double?
    /// Whether lengths are drawn from their file at random (true) or taken in its order.
    public var shuffled = false

    public init() {}

    /// Every option's name, for messages.
    static let names = [
        "rate", "seed", "duration", "scale", "limit", "window", "arrivals", "burstiness", "shape", "stages",
        "concurrency", "think",
        "think-law", "max-prompt", "max-output", "max-total", "repeat", "order", "spread",
    ]

    /// Parses `name=value&name=value`.
    ///
    /// - Parameters:
    ///   - place: the whole workload, for messages.
    ///   - seed: used when the text names none.
    public init(parsing text: Substring, place: String, seed: UInt64 = 1) throws(WorkloadError) {
        self.seed = seed
        var seen: Set<String> = []
        var burstiness: Double?
        var shape: Double?
        var law: String?
        for part in text.split(separator: "&", omittingEmptySubsequences: true) {
            guard let equals = part.firstIndex(of: "=") else {
                throw WorkloadError(place: place, "option '\(part)' has no value, where 'name=value' was expected")
            }
            let name = String(part[..<equals])
            let reader = OptionValue(name: name, text: String(part[part.index(after: equals)...]), place: place)
            guard seen.insert(name).inserted else {
                throw WorkloadError(place: place, "option '\(name)' is given twice")
            }
            switch name {
            case "rate": rate = try reader.number(above: 0)
            case "seed": self.seed = try reader.seed()
            case "duration": durationSeconds = try reader.seconds(above: 0)
            case "scale": scale = try reader.number(above: 0)
            case "limit": limit = try reader.integer(1...1_000_000_000_000)
            case "window": window = try reader.window()
            case "arrivals": law = try reader.name(of: ["constant", "poisson", "gamma", "weibull", "at-once", "trace"])
            case "burstiness": burstiness = try reader.number(above: 0)
            case "shape": shape = try reader.number(above: 0)
            case "stages": stages = try reader.stages()
            case "concurrency": concurrency = try reader.integer(1...100_000_000)
            case "think": thinkSeconds = try reader.seconds(above: -1)
            case "think-law": thinkVaries = try reader.name(of: ["constant", "exponential"]) == "exponential"
            case "max-prompt": maxPrompt = Int32(try reader.integer(1...Int(Int32.max)))
            case "max-output": maxOutput = Int32(try reader.integer(1...Int(Int32.max)))
            case "max-total": maxTotal = Int32(try reader.integer(2...Int(Int32.max)))
            case "repeat": repeats = try reader.integer(1...1_000_000_000)
            case "spread": spreadSeconds = try reader.seconds(above: 0)
            case "order": shuffled = try reader.name(of: ["file", "random"]) == "random"
            default:
                throw WorkloadError(
                    place: place, "unknown option '\(name)'\(suggestion(for: name, among: WorkloadOptions.names))")
            }
        }
        arrivals = try WorkloadOptions.gapLaw(law, burstiness: burstiness, shape: shape, place: place)
        try checkTogether(place: place)
    }

    private static func gapLaw(
        _ law: String?, burstiness: Double?, shape: Double?, place: String
    ) throws(WorkloadError) -> GapLaw? {
        if burstiness != nil, law != nil, law != "gamma" {
            throw WorkloadError(place: place, "'burstiness' goes with arrivals=gamma, not arrivals=\(law!)")
        }
        if shape != nil, law != nil, law != "weibull" {
            throw WorkloadError(place: place, "'shape' goes with arrivals=weibull, not arrivals=\(law!)")
        }
        switch law {
        case "constant": return .constant
        case "poisson": return .poisson
        case "at-once": return .atOnce
        case "gamma":
            guard let burstiness else {
                throw WorkloadError(place: place, "arrivals=gamma needs burstiness=B (1 is Poisson, 0.2 is bursty)")
            }
            return .gamma(burstiness: burstiness)
        case "weibull":
            guard let shape else {
                throw WorkloadError(place: place, "arrivals=weibull needs shape=K (1 is Poisson, 0.5 is bursty)")
            }
            return .weibull(shape: shape)
        default:
            if let burstiness { return .gamma(burstiness: burstiness) }
            if let shape { return .weibull(shape: shape) }
            return nil
        }
    }

    private func checkTogether(place: String) throws(WorkloadError) {
        if concurrency != nil && (rate != nil || stages != nil || arrivals != nil) {
            throw WorkloadError(
                place: place,
                "'concurrency' is a closed loop, in which completions set the pace: leave out rate, stages and arrivals"
            )
        }
        if thinkSeconds != nil && concurrency == nil {
            throw WorkloadError(place: place, "'think' needs concurrency=N")
        }
        if stages != nil && rate != nil {
            throw WorkloadError(place: place, "give either 'rate' or 'stages', not both")
        }
        if arrivals == .atOnce && (rate != nil || stages != nil) {
            throw WorkloadError(place: place, "arrivals=at-once has no rate: leave out rate and stages")
        }
    }

    /// The closed loop asked for, if any.
    var closedLoop: ClosedLoop? {
        concurrency.map { ClosedLoop(concurrency: $0, thinkSeconds: thinkSeconds ?? 0, thinkVaries: thinkVaries) }
    }
}

/// One option's value, and the ways to understand it.
struct OptionValue {
    var name: String
    var text: String
    var place: String

    private func fault(_ expected: String) -> WorkloadError {
        WorkloadError(place: place, "option '\(name)' is '\(text)', where \(expected) was expected")
    }

    /// A number, with `k`, `M` or `G` for thousands, millions, billions.
    func number(above bound: Double) throws(WorkloadError) -> Double {
        var digits = text[...]
        var factor = 1.0
        if let last = digits.last, let known = ["k": 1e3, "M": 1e6, "G": 1e9][String(last)] {
            factor = known
            digits = digits.dropLast()
        }
        guard let value = Double(digits), value.isFinite, value * factor > bound, value * factor < 1e15 else {
            throw fault("a number above \(bound)")
        }
        return value * factor
    }

    func integer(_ range: ClosedRange<Int>) throws(WorkloadError) -> Int {
        guard let value = try? number(above: -1), value == value.rounded(), range.contains(Int(value)) else {
            throw fault("a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return Int(value)
    }

    func seed() throws(WorkloadError) -> UInt64 {
        guard let value = UInt64(text) else { throw fault("a whole number from 0 to 2^64 - 1") }
        return value
    }

    /// A time, in seconds or with `ms`, `s`, `m`, `h` or `d` behind it.
    func seconds(above bound: Double) throws(WorkloadError) -> Double {
        for (suffix, factor) in [("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        where text.hasSuffix(suffix) {
            guard let value = Double(text.dropLast(suffix.count)), value.isFinite, value * factor > bound,
                value * factor < 1e9
            else { break }
            return value * factor
        }
        guard let value = Double(text), value.isFinite, value > bound, value < 1e9 else {
            throw fault("a time such as 600, 10m or 1.5h")
        }
        return value
    }

    func name(of names: [String]) throws(WorkloadError) -> String {
        guard names.contains(text) else {
            throw WorkloadError(
                place: place, "option '\(name)' cannot be '\(text)'\(suggestion(for: text, among: names))")
        }
        return text
    }

    /// `START..END`, either end left out for open.
    func window() throws(WorkloadError) -> Range<Double> {
        let ends = text.split(separator: "..", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2 else { throw fault("START..END in seconds, such as 600..1200") }
        let start =
            ends[0].isEmpty ? 0 : try OptionValue(name: name, text: String(ends[0]), place: place).seconds(above: -1)
        let end =
            ends[1].isEmpty
            ? .infinity : try OptionValue(name: name, text: String(ends[1]), place: place).seconds(above: 0)
        guard start >= 0, start < end else { throw fault("START..END with START before END") }
        return start..<end
    }

    /// `RATE:SECONDS,FROM..TO:SECONDS,...`
    func stages() throws(WorkloadError) -> [RateStage] {
        var stages: [RateStage] = []
        for part in text.split(separator: ",") {
            let halves = part.split(separator: ":")
            guard halves.count == 2 else { throw fault("RATE:SECONDS or FROM..TO:SECONDS, separated by commas") }
            let rates = halves[0].split(separator: "..", maxSplits: 1)
            var ends: [Double] = []
            for rate in rates {
                ends.append(try OptionValue(name: name, text: String(rate), place: place).number(above: -0x1p-1074))
            }
            guard let first = ends.first, let last = ends.last else { throw fault("a rate before the colon") }
            let seconds = try OptionValue(name: name, text: String(halves[1]), place: place).seconds(above: 0)
            stages.append(RateStage(startRate: first, endRate: last, seconds: seconds))
        }
        guard stages.contains(where: { $0.area > 0 }) else { throw fault("at least one stage with a rate above 0") }
        return stages
    }
}
