//===----------------------------------------------------------------------===//
// What load generators do besides sending requests.
//===----------------------------------------------------------------------===//

/// The program that produced a row, and the habits of it that show in what it prints.
///
/// Both Python clients make their prompts themselves, one after another, by tokenising text until it is long enough, and
/// that takes longer than sending them: requests that are meant to come together come apart.
enum LoadGenerator: Sendable, Hashable {
    /// Clients that send at once and count everything.
    case plain
    /// guidellm 0.1: a sweep of `synchronous`, `throughput` and constant rates of 120 s each. Requests still open at the
    /// end are dropped, and rates are of the finished ones. Gaps are weighted by tokens.
    case guidellm(timeoutSeconds: Double?)
    /// llmperf: its collector waits for every open request before it sends again, so requests come in waves; eight waves
    /// a run. Latency per token is the mean over requests of latency ÷ tokens.
    case llmperf

    /// Seconds that a client takes to make one prompt of 1,500 tokens. Waves of llmperf last 0.14–0.16 s longer for each
    /// further request, and guidellm sends no more than 6.7 requests a second to servers that could take more.
    static let promptSeconds = 0.15
    /// llmperf makes prompts and counts outputs with the tokenizer of Llama 2. Tokenizers with 128,000 entries and more need
    /// fewer tokens for the same text: 3.94 characters each instead of 3.17 (Llama 3's report, English).
    static let llamaTokensPerLargeVocabularyToken = 3.94 / 3.17
    /// llmperf asks in words for a number of tokens, and Llama 3 writes fewer: a server of one slot for its 70B model took
    /// 8.2 s for each request and counted 260 tokens (31.8 a second), which are 210 of its own, where 245 were asked for.
    static let llmperfFinishedFraction = 210.0 / 245.0
    /// Prompts that guidellm holds ready when a run starts.
    static let guidellmStock = 50
    /// guidellm keeps one request fewer open than its limit of 128.
    static let guidellmMostClients = 127

    /// When the prompt of the request with this number (from 0) can be sent, seconds after the start of a run.
    func promptReady(_ number: Int) -> Double {
        switch self {
        case .plain: 0
        case .guidellm: Double(max(0, number + 1 - Self.guidellmStock)) * Self.promptSeconds
        case .llmperf: Double(number) * Self.promptSeconds
        }
    }

    /// Seconds after which a run is over; nil when it ends with its requests.
    var runSeconds: Double? {
        if case .guidellm = self { return 120 }
        return nil
    }

    var timeoutSeconds: Double? {
        if case .guidellm(let seconds) = self { return seconds }
        return nil
    }

    /// guidellm looks for room every 0.1 s.
    var pollSeconds: Double {
        if case .guidellm = self { return 0.05 }
        return 0
    }
}
