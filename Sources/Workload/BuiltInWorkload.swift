//===----------------------------------------------------------------------===//
// Models of workloads that need no file, by name.
//===----------------------------------------------------------------------===//

/// The built-in workloads. Their laws are in `BuiltInLaws`, where each figure has its source.
public enum BuiltInWorkload: String, CaseIterable, Sendable {
    /// Multi-turn conversations of people with a chat assistant.
    case chat
    /// Coding agents: long sessions whose context grows with every tool call.
    case agents
    /// Code completion: long prompts, a few tokens out.
    case completion
    /// Summaries of long documents.
    case documents
    /// Hard questions to a reasoning model: short prompts, thousands of tokens out.
    case reasoning
    /// Offline work that is all there at the start.
    case batch
    /// A cloud's mix of customers: chat, agents, completion, documents, reasoning.
    case bedrock
    /// A frontier provider's consumer chat with agents, completion and reasoning, at published volume.
    case frontier

    /// Mean requests per second when none is asked for.
    public var defaultRate: Double {
        switch self {
        case .chat: 10
        case .agents: 2
        case .completion: 20
        case .documents: 2
        case .reasoning: 2
        case .batch: 0
        case .bedrock: 100
        // 2.5 billion prompts a day (OpenAI to Axios, July 2025) are 28,935 a second; `BuiltInLaws.frontierShares`
        // makes them 70 % of the mix.
        case .frontier: 2.5e9 / 86_400 / BuiltInLaws.frontierShares[0].share
        }
    }

    /// Seconds of arrivals when neither a duration nor a limit is asked for.
    public var defaultDurationSeconds: Double { self == .frontier ? 60 : 600 }

    /// Requests of `batch` when no limit is asked for: the sample count of MLPerf Inference's Llama 2 70B data set.
    static let defaultBatchRequests = 24_576

    /// A source of the workload's requests under `options`.
    func makeSource(_ given: WorkloadOptions) throws(WorkloadError) -> any RequestSource {
        var options = given
        if options.durationSeconds == nil && options.limit == nil {
            if self == .batch {
                options.limit = BuiltInWorkload.defaultBatchRequests
            } else if options.stages == nil && options.concurrency == nil {
                options.durationSeconds = defaultDurationSeconds
            } else if options.concurrency != nil {
                options.limit = options.concurrency! * 100
            }
        }
        if self == .batch && options.rate == nil && options.stages == nil && options.concurrency == nil {
            options.arrivals = .atOnce
        }
        if options.arrivals == .atOnce && options.limit == nil {
            options.limit = BuiltInWorkload.defaultBatchRequests
        }
        let rate = (options.rate ?? defaultRate) * options.scale
        switch self {
        case .bedrock: return try mix(BuiltInLaws.bedrockShares, rate: rate, options)
        case .frontier: return try mix(BuiltInLaws.frontierShares, rate: rate, options)
        default: return component(rate: rate, options, tag: 0)
        }
    }

    private func mix(
        _ shares: [(workload: BuiltInWorkload, share: Double)], rate: Double, _ options: WorkloadOptions
    ) throws(WorkloadError) -> any RequestSource {
        var sources: [any RequestSource] = []
        for (index, part) in shares.enumerated() {
            var partOptions = options
            partOptions.stages = options.stages?.map { $0.scaled(by: part.share) }
            if options.arrivals == .atOnce || options.concurrency != nil {
                // Without times to merge by, each part contributes its share of the requests.
                partOptions.limit = options.limit.map { max(1, Int((Double($0) * part.share).rounded())) }
            } else {
                partOptions.limit = nil
            }
            sources.append(part.workload.component(rate: rate * part.share, partOptions, tag: UInt64(index + 1)))
        }
        return try MixedSource(sources, limit: options.limit)
    }

    /// One kind of traffic. `tag` keeps the random streams, sessions and heads of a mix's parts apart.
    private func component(rate: Double, _ options: WorkloadOptions, tag: UInt64) -> any RequestSource {
        if let model = BuiltInLaws.sessions(self) {
            return SessionSource(model, rate: rate, options: options, tag: tag)
        }
        let laws = BuiltInLaws.independent(self)
        var seeded = options
        seeded.seed = RandomStream.mix(options.seed &+ tag &* 0x9E37_79B9_7F4A_7C15)
        if tag == 0 { seeded.seed = options.seed }
        seeded.rate = options.stages == nil && options.concurrency == nil && options.arrivals != .atOnce ? rate : nil
        if seeded.rate != nil { seeded.scale = 1 }
        return GeneratedSource(
            clock: ArrivalClock(seeded, defaultRate: rate),
            lengths: LawLengths(
                prompt: laws.prompt, output: laws.output,
                random: RandomStream(seed: seeded.seed, stream: RandomUse.lengths)
            ),
            options: options
        )
    }

    /// Where the figures come from. Every built-in rests on something assumed, and says what.
    public var provenance: WorkloadProvenance {
        switch self {
        case .chat:
            WorkloadProvenance(
                grade: .assumed,
                source:
                    "Azure LLM trace 2024, conversation (output quantiles, mean prompt); LMSYS-Chat-1M (2.0 turns, 69.5 user tokens)",
                assumptions: ["a shared system prompt of 200 tokens", "a median pause of 60 s between turns"]
            )
        case .agents:
            WorkloadProvenance(
                grade: .derived,
                source: "fitted to 237 Claude Code sessions of kv-cache-tester (Callan Fox, Apache-2.0; 18,346 calls)",
                assumptions: [
                    "turns geometric and independent", "contexts compacted at 200,000 tokens",
                    "8 distinct prompt heads",
                ]
            )
        case .completion:
            WorkloadProvenance(
                grade: .derived, source: "Azure LLM trace 2024, coding: quantiles of prompts and outputs",
                assumptions: ["prompt and output lengths independent"]
            )
        case .documents:
            WorkloadProvenance(
                grade: .derived,
                source:
                    "arXiv summarization as in Sarathi-Serve (OSDI 2024), table 2: median and P90 of prompts and outputs",
                assumptions: ["lognormal between the quantiles", "prompt and output lengths independent"]
            )
        case .reasoning:
            WorkloadProvenance(
                grade: .assumed,
                source: "MLPerf Inference 5.1, DeepSeek-R1: mean output 3,880 tokens, at most 20,000",
                assumptions: ["median output 2,400 tokens (lognormal)", "median prompt 150 tokens, mean 250"]
            )
        case .batch:
            WorkloadProvenance(
                grade: .assumed,
                source:
                    "MLPerf Inference, Llama 2 70B (OpenOrca): 24,576 samples, mean output 294 tokens, both lengths at most 1,024",
                assumptions: ["median output 210 tokens (lognormal)", "prompts of median 200, mean 290 tokens"]
            )
        case .bedrock:
            WorkloadProvenance(
                grade: .assumed, source: "the other built-in workloads",
                assumptions: [BuiltInLaws.sentence(BuiltInLaws.bedrockShares), "100 requests/s unless a rate is given"]
            )
        case .frontier:
            WorkloadProvenance(
                grade: .assumed,
                source:
                    "2.5 billion ChatGPT prompts a day (OpenAI to Axios, July 2025) and the other built-in workloads",
                assumptions: [BuiltInLaws.sentence(BuiltInLaws.frontierShares), "no daily cycle"]
            )
        }
    }
}
