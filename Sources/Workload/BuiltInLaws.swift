//===----------------------------------------------------------------------===//
// The figures behind the built-in workloads, each with its source.
//===----------------------------------------------------------------------===//

enum BuiltInLaws {
    /// Session models of `chat` and `agents`; nil for workloads of independent requests.
    static func sessions(_ workload: BuiltInWorkload) -> SessionModel? {
        switch workload {
        case .chat: chat
        case .agents: agents
        default: nil
        }
    }

    /// Prompt and output laws of workloads of independent requests.
    static func independent(_ workload: BuiltInWorkload) -> (prompt: LengthLaw, output: LengthLaw) {
        switch workload {
        case .completion: (azure2024CodingPrompt, azure2024CodingOutput)
        // Sarathi-Serve (OSDI 2024), table 2, arxiv_summarization: prompt median 7,059 and P90 12,985, output median
        // 208 and P90 371 tokens, data set cut at 16,384. For a lognormal law sigma = ln(P90 / median) / 1.2816.
        case .documents:
            (
                .lognormal(median: 7_059, sigma: 0.4756, bounds: 512...16_000),
                .lognormal(median: 208, sigma: 0.4515, bounds: 16...2_048)
            )
        // MLPerf Inference v5.1 (mlcommons.org, September 2025): DeepSeek-R1 outputs of 3,880 tokens in the mean, cut
        // at 20,000. The median and the prompts are assumptions; with this median the cut lognormal law has that mean.
        case .reasoning:
            (
                .lognormal(mean: 250, median: 150, bounds: 16...4_096),
                .lognormal(median: 2_400, sigma: 1.03, bounds: 64...20_000)
            )
        // MLPerf Inference, Llama 2 70B on OpenOrca: 294.45 output tokens in the mean, prompts and outputs up to 1,024.
        case .batch:
            (
                .lognormal(mean: 290, median: 200, bounds: 8...1_024),
                .lognormal(median: 210, sigma: 0.86, bounds: 4...1_024)
            )
        case .chat, .agents, .bedrock, .frontier:
            preconditionFailure("\(workload) is not a workload of independent requests")
        }
    }

    /// Azure LLM inference trace 2024, coding service (16.8 M requests): quantiles of the prompt (digitised from the
    /// notebook's plot to 2 %) and of the output; mean prompt 2,511, largest 7,743; mean output 23, largest 5,000. The
    /// point at 0.999 is not published; it is set so that the mean comes out.
    static let azure2024CodingPrompt = LengthLaw.quantiles(
        QuantileCurve([
            (0, 4), (0.02, 32), (0.05, 160), (0.1, 420), (0.25, 1_050), (0.5, 1_930), (0.75, 3_500), (0.9, 6_251),
            (0.99, 7_685), (1, 7_743),
        ])
    )
    static let azure2024CodingOutput = LengthLaw.quantiles(
        QuantileCurve([(0, 1), (0.5, 8), (0.9, 43), (0.95, 79), (0.99, 271), (0.999, 400), (1, 5_000)])
    )

    /// Azure LLM inference trace 2024, conversation service (27.3 M requests): output quantiles; mean 106, largest
    /// 1,500.
    static let azure2024ConversationOutput = LengthLaw.quantiles(
        QuantileCurve([(0, 1), (0.5, 41), (0.75, 110), (0.9, 342), (0.95, 455), (0.99, 694), (1, 1_500)])
    )

    /// Conversations. Outputs follow Azure's conversation trace of 2024; turns and the size of a user's message follow
    /// LMSYS-Chat-1M (Zheng et al., 2024, table 1: 2.0 turns, 69.5 tokens a prompt). Azure's prompts (mean 1,632,
    /// median 928) are much longer than that, because applications put retrieved text and history before the question:
    /// the first turn's law is fitted so that all prompts together have that mean and median.
    static let chat = SessionModel(
        heads: 64,
        headTokens: .fixed(200),
        firstTurnTokens: .lognormal(median: 560, sigma: 1.35, bounds: 1...7_900),
        laterTurnTokens: .lognormal(mean: 69.5, median: 35, bounds: 1...4_000),
        outputTokens: azure2024ConversationOutput,
        continueProbability: 0.5,
        gaps: [SessionModel.Gap(weight: 1, medianSeconds: 60, sigma: 1)],
        maxContextTokens: 32_000
    )

    /// Coding agents, fitted to 237 Claude Code sessions (kv-cache-tester's v8 traces, shared half): 77 calls a
    /// session; head of tool definitions and system prompt 14,929 tokens in the median; first prompt 25,564; 707 new
    /// tokens a call in the median (P90 3,964); output median 209, P90 913, P99 3,598; from call to call 18 s in the
    /// median, P90 129 s, P99 2,494 s.
    static let agents = SessionModel(
        heads: 8,
        headTokens: .lognormal(median: 14_929, sigma: 0.1, bounds: 11_000...22_552),
        firstTurnTokens: .lognormal(median: 10_600, sigma: 1, bounds: 64...100_000),
        laterTurnTokens: .lognormal(median: 707, sigma: 1.2, bounds: 16...60_000),
        outputTokens: .quantiles(
            QuantileCurve([(0, 8), (0.1, 104), (0.5, 209), (0.9, 913), (0.99, 3_598), (1, 10_522)])),
        continueProbability: 1 - 1 / 77.4,
        gaps: [
            SessionModel.Gap(weight: 0.8, medianSeconds: 14, sigma: 0.7),
            SessionModel.Gap(weight: 0.2, medianSeconds: 120, sigma: 1.7),
        ],
        maxContextTokens: 200_000
    )

    /// Shares of requests, assumed: no provider publishes them.
    static let bedrockShares: [(workload: BuiltInWorkload, share: Double)] = [
        (.chat, 0.45), (.agents, 0.2), (.completion, 0.15), (.documents, 0.15), (.reasoning, 0.05),
    ]
    static let frontierShares: [(workload: BuiltInWorkload, share: Double)] = [
        (.chat, 0.7), (.agents, 0.1), (.completion, 0.1), (.documents, 0.05), (.reasoning, 0.05),
    ]

    static func sentence(_ shares: [(workload: BuiltInWorkload, share: Double)]) -> String {
        "shares of requests: "
            + shares.map { "\($0.workload.rawValue) \(Int(($0.share * 100).rounded())) %" }.joined(separator: ", ")
    }
}
