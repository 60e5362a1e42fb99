//===----------------------------------------------------------------------===//
// How long a reply will be and what it will say, decided when its request is admitted.
//===----------------------------------------------------------------------===//

/// How many tokens a reply gets. Everything below the front end works on certainties, so the length is drawn here, from
/// the request alone: the same request always gets the same reply.
struct OutputLengthRule: Equatable, Sendable {
    /// What `max_tokens` means to the modelled model.
    enum Limit: String, Equatable, Sendable, CaseIterable {
        /// The reply has exactly as many tokens as the client allows: what load generators expect, and the default.
        case exact
        /// The reply's length is drawn as if there were no limit, and cut off at it.
        case drawn
    }

    var limit = Limit.exact
    /// Median of the log-normal distribution that a length is drawn from when nothing fixes it, in tokens.
    /// Default: median output of the Azure 2023 conversation trace (129 tokens over 19,366 requests).
    var medianTokens = 129.0
    /// Standard deviation of the length's natural logarithm; 1.1 puts the 95th percentile at six times the median.
    var sigma = 1.1

    /// - Parameters:
    ///   - request: the validated body.
    ///   - contextLeft: tokens that still fit into the model's context after the prompt, at least 1.
    ///   - seed: what this reply's draw depends on.
    /// - Returns: tokens produced unless a stop string ends the reply earlier, and whether the end comes by itself.
    func tokens(for request: GenerationRequest, contextLeft: Int32, seed: UInt64) -> (count: Int32, endsByItself: Bool)
    {
        let most = min(request.maxTokens ?? contextLeft, contextLeft)
        let least = min(max(1, request.minTokens), most)
        if request.ignoresEndOfSequence { return (most, false) }
        if request.maxTokens != nil, limit == .exact { return (most, false) }
        let drawn = max(least, draw(seed: seed))
        return drawn >= most ? (most, false) : (drawn, true)
    }

    private func draw(seed: UInt64) -> Int32 {
        // Box and Muller's transform of two uniform numbers in (0, 1].
        let first = (Double(mixed(seed ^ 0xA5A5) >> 11) + 1) * 0x1p-53
        let second = (Double(mixed(seed ^ 0x5A5A) >> 11) + 1) * 0x1p-53
        let normal = (-2 * logarithm(first)).squareRoot() * cosine(2 * Double.pi * second)
        return Int32(clamping: Int64(max(1, min(1e9, (medianTokens * exponential(sigma * normal)).rounded()))))
    }
}

/// Why a reply ended, as clients read it.
enum FinishReason: Equatable, Sendable {
    case stop, length, toolCalls

    var name: StaticString {
        switch self {
        case .stop: "stop"
        case .length: "length"
        case .toolCalls: "tool_calls"
        }
    }
}

/// One reply (one choice): how many tokens, which filler, why it ends.
struct ReplyPlan: Equatable, Sendable {
    var outputTokens: Int32
    var fillerSeed: UInt64
    var finish: FinishReason
    var form: ReplyForm
    /// Bytes of text that leave; fewer than the tokens' text only when a stop string cuts the last of them.
    var textBytes = Int.max

    /// What choice `choice` of prompt `prompt` is drawn from.
    static func seed(request: GenerationRequest, prompt: PromptMeasure, choice: Int) -> UInt64 {
        let chosen = request.seed.map { UInt64(bitPattern: $0) } ?? 0
        return mixed(prompt.digest ^ mixed(chosen ^ UInt64(choice) << 48))
    }

    /// Decides choice `choice` of prompt `prompt`.
    init(request: GenerationRequest, prompt: PromptMeasure, choice: Int, contextLeft: Int32, rule: OutputLengthRule) {
        let seed = Self.seed(request: request, prompt: prompt, choice: choice)
        let (tokens, endsByItself) = rule.tokens(for: request, contextLeft: contextLeft, seed: seed)
        outputTokens = tokens
        fillerSeed = seed
        finish = endsByItself ? .stop : .length
        form = request.reply
        switch form {
        case .text:
            // `min_tokens` guards against stop strings too, as in vLLM.
            if !request.stop.isEmpty, let cut = FillerText.cut(at: request.stop, tokens: tokens, seed: seed),
                cut.tokens >= request.minTokens
            {
                outputTokens = cut.tokens
                textBytes = cut.bytes
                finish = .stop
            }
        case .json: break
        case .toolCall: if endsByItself || rule.limit == .exact { finish = .toolCalls }
        }
    }
}
