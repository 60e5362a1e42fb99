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
    /// Joules per output token and dollars per million output tokens, where the server exports energy or cost. Energy
    /// covers the whole time between the first and the last scrape, idle power included.
    public var joulesPerOutputToken: Double?
    public var usdPerMillionOutputTokens: Double?
}

/// One page in Prometheus' text format, summed over label sets.
struct MetricsPage: Equatable {
    var counters: [String: Double] = [:]
    var gauges: [String: Double] = [:]

    /// Families worth following: vLLM's and Trainyard's, DCGM's and Kepler's energy and power.
    private static func isWanted(_ name: Substring) -> Bool {
        ["vllm:", "vllm_", "trainyard_", "DCGM_FI_DEV_", "kepler_", "sglang:", "trtllm_", "neuron"].contains {
            name.hasPrefix($0)
        }
    }

    init(parsing text: String) {
        var types: [Substring: Substring] = [:]
        for line in text.split(separator: "\n", omittingEmptySubsequences: true) {
            if line.hasPrefix("# TYPE ") {
                let words = line.split(separator: " ")
                if words.count == 4 { types[words[2]] = words[3] }
                continue
            }
            guard line.first != "#", let (name, value) = MetricsPage.sample(line), MetricsPage.isWanted(name),
                value.isFinite
            else { continue }
            let family = ["_sum", "_count"].first { name.hasSuffix($0) }.map { name.dropLast($0.count) } ?? name
            if name.hasSuffix("_bucket") { continue }
            // A modelled baseline beside the fleet is another machine: its samples are kept apart.
            let key = line.contains("side=\"baseline\"") ? "\(name){side=\"baseline\"}" : String(name)
            let type =
                types[name] ?? types[family]
                ?? (name.hasSuffix("_total") || name.hasSuffix("_CONSUMPTION") ? "counter" : "gauge")
            if type == "gauge" || type == "untyped" {
                gauges[key, default: 0] += value
            } else {
                counters[key, default: 0] += value
            }
        }
    }

    /// Name and value of a sample line; labels are passed over (they may hold blanks and braces inside quotes).
    private static func sample(_ line: Substring) -> (Substring, Double)? {
        guard let nameEnd = line.firstIndex(where: { $0 == "{" || $0 == " " }) else { return nil }
        var rest = line[nameEnd...]
        if rest.first == "{" {
            var quoted = false
            var escaped = false
            guard
                let close = rest.firstIndex(where: { character in
                    if escaped {
                        escaped = false
                    } else if character == "\\" {
                        escaped = quoted
                    } else if character == "\"" {
                        quoted.toggle()
                    }
                    return character == "}" && !quoted
                })
            else { return nil }
            rest = rest[rest.index(after: close)...]
        }
        guard let text = rest.split(separator: " ").first, let value = Double(text) else { return nil }
        return (line[..<nameEnd], value)
    }
}

/// Scrapes a server's metrics at intervals.
public actor MetricsScraper {
    let target: LoadTarget
    private let path: String
    let headers: [(name: String, value: String)]
    private let verifiesCertificates: Bool
    private let rootCertificatePath: String?
    private var first: MetricsPage?
    private var last: MetricsPage?
    private var gaugeSums: [String: Double] = [:]
    private var scrapes = 0
    private var failed = 0

    /// Scrapes the loaded server's own `/metrics`.
    public init(of configuration: LoadConfiguration) {
        target = configuration.target
        path = target.pathPrefix + "/metrics"
        headers = configuration.headers
        verifiesCertificates = configuration.verifiesCertificates
        rootCertificatePath = configuration.rootCertificatePath
    }

    /// Scrapes another page. The load's header lines, which may hold its key, go to the loaded server alone.
    ///
    /// - Parameter url: of the metrics page itself.
    public init(url: String, besides configuration: LoadConfiguration) throws(LoadError) {
        var target = try LoadTarget(parsing: url)
        guard let start = url.firstRange(of: "://") else { throw LoadError("'\(url)' is no URL") }
        let rest = url[start.upperBound...]
        path = rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? "/metrics"
        let loaded = configuration.target
        let isLoaded =
            loaded.socketPath == nil && target.host == loaded.host && target.port == loaded.port
            && target.usesTLS == loaded.usesTLS
        headers = isLoaded ? configuration.headers : []
        target.usesHTTP2 = isLoaded && loaded.usesHTTP2
        self.target = target
        verifiesCertificates = configuration.verifiesCertificates
        rootCertificatePath = configuration.rootCertificatePath
    }

    /// Reads the page once; a failure is counted.
    public func scrape() async {
        do {
            let answer = try await ServerQuery.get(
                target, path: path, headers: headers, verifiesCertificates: verifiesCertificates,
                rootCertificatePath: rootCertificatePath, timeoutNanoseconds: 2_000_000_000
            )
            guard answer.status == 200 else {
                failed += 1
                return
            }
            take(MetricsPage(parsing: String(decoding: answer.body, as: UTF8.self)))
        } catch {
            failed += 1
        }
    }

    func take(_ page: MetricsPage) {
        if first == nil { first = page }
        last = page
        scrapes += 1
        for (name, value) in page.gauges { gaugeSums[name, default: 0] += value }
    }

    /// What the scrapes amount to; nil when none succeeded.
    ///
    /// - Parameter outputTokens: of the load, for the figures per token.
    public func figures(outputTokens: Int) -> ServerFigures? {
        guard let first, let last else { return nil }
        var growth: [String: Double] = [:]
        for (name, value) in last.counters {
            let before = first.counters[name] ?? 0
            // A counter that fell was reset by a restart: what it counted since is what it shows.
            growth[name] = value >= before ? value - before : value
        }
        var figures = ServerFigures(
            url: (target.usesTLS ? "https://" : "http://") + target.hostHeader + path, scrapes: scrapes,
            failedScrapes: failed,
            growth: growth, means: gaugeSums.mapValues { $0 / Double(scrapes) }
        )
        guard outputTokens > 0, scrapes > 1 else { return figures }
        let tokens = Double(outputTokens)
        figures.joulesPerOutputToken = MetricsScraper.joules(growth).map { $0 / tokens }
        figures.usdPerMillionOutputTokens = MetricsScraper.dollars(growth).map { $0 / tokens * 1e6 }
        return figures
    }

    /// Energy that the server's counters grew by: its own joules, or DCGM's millijoules.
    static func joules(_ growth: [String: Double]) -> Double? {
        growth["trainyard_energy_joules_total"] ?? growth["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"].map { $0 / 1e3 }
    }

    static func dollars(_ growth: [String: Double]) -> Double? { growth["trainyard_cost_dollars_total"] }
}
