//===----------------------------------------------------------------------===//
// Whether the client, not the server, was the limit.
//===----------------------------------------------------------------------===//

/// Looks for signs that the figures say more about the client than about the server.
struct ClientJudgement {
    private(set) var wasTheLimit = false
    private(set) var warnings: [String] = []

    init(_ result: LoadResult) {
        let measured = result.measurements
        let busy = result.cpuSeconds / max(result.wallSeconds, 1e-9) / Double(result.configuration.threads)
        let lag = measured.lag.percentile(99)
        // A lag matters where it shows in the latencies: above 1 ms and above 5 % of the median TTFT.
        let visible = max(1_000_000, measured.ttft.percentile(50) / 20)
        if result.schedule.closedLoop == nil, lag > visible {
            wasTheLimit = true
            warnings.append(
                "THE CLIENT WAS THE LIMIT: 1 % of the requests left more than \(Self.milliseconds(lag)) ms late; "
                    + "use more --threads or --connections, or a lower rate. Latencies from the intended time include this."
            )
        }
        if result.wallSeconds > 0.5, busy > 0.9 {
            wasTheLimit = true
            warnings.append(
                "THE CLIENT WAS THE LIMIT: its \(result.configuration.threads) threads were busy \(Int(busy * 100)) % of the time; "
                    + "use more --threads"
            )
        }
        let schedule = result.schedule
        if schedule.closedLoop != nil, schedule.endNanoseconds != .max, measured.total >= schedule.requests.count,
            measured.lastEnded < schedule.endNanoseconds
        {
            wasTheLimit = true
            warnings.append(
                "THE CLIENT WAS THE LIMIT: the \(schedule.requests.count) requests that were made ready were used up before "
                    + "the duration; give --requests"
            )
        }
        if measured.withoutUsage > 0 {
            warnings.append("\(measured.withoutUsage) answers had no usage; their output tokens are counted in chunks")
        }
        if measured.otherLength > 0 {
            warnings.append(
                "\(measured.otherLength) answers were not as long as asked for (--ignore-eos makes servers of vLLM's kind go on)"
            )
        }
        if measured.recordsLeftOut > 0 {
            warnings.append("details of \(measured.recordsLeftOut) requests were not kept; percentiles cover all")
        }
        if measured.staleConnections > 0 {
            warnings.append(
                "\(measured.staleConnections) requests went out again, as the server closed or left their kept connections"
            )
        }
    }

    private static func milliseconds(_ nanoseconds: Int64) -> String {
        let tenths = (nanoseconds + 50_000) / 100_000
        return "\(tenths / 10).\(tenths % 10)"
    }
}
