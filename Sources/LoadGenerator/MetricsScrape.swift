//===----------------------------------------------------------------------===//
// What the server says of itself while it is loaded.
//===----------------------------------------------------------------------===//

/// Figures read from the server's metrics over the run.
public struct ServerFigures: Codable, Equatable, Sendable {
    public var url: String
    public var scrapes: Int
    public var failedScrapes: Int
    /// Counters: by how much they grew from the first scrape to the last, over all their label sets.
    public var growth: [String: Double]
    /// Gauges: mean over the scrapes, of the sum over their label sets.
    public var means: [String: Double]
    /// Joules per output token and dollars per million output tokens, where the server exports energy or cost.
    public var joulesPerOutputToken: Double?
    public var usdPerMillionOutputTokens: Double?
}
