//===----------------------------------------------------------------------===//
// W3C trace context in requests, answers and exemplars.
//===----------------------------------------------------------------------===//

import NIOCore
import Testing

@testable import Server

@Suite struct TraceContextTests {
    static let field = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func readsAndWrites() throws {
        let context = try #require(TraceContext(Self.field))
        #expect(context.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(context.span == 0x00f0_67aa_0ba9_02b7 && context.flags == 1)
        #expect(context.field(span: 0xAB) == "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01")
        // A later version may say more behind what this one knows.
        #expect(TraceContext("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what") != nil)
    }

    @Test(arguments: [
        "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", "ff" + field.dropFirst(2), field + "-x",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", field.uppercased(),
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", "0x" + field.dropFirst(2),
    ])
    func ignoresWhatIsInvalid(_ field: String) { #expect(TraceContext(field) == nil) }

    @Test func answersCarryTheTraceAndHistogramsShowIt() async throws {
        try await withServer { server in
            let fields = try await onThread {
                let client = try SocketClient(port: server.port)
                var fields: [String?] = []
                for body in [#""stream":true"#, #""stream":false"#] {
                    try client.request(
                        "POST", "/v1/completions", body: #"{"model":"m","prompt":"a","max_tokens":2,\#(body)}"#,
                        headers: ["traceparent": Self.field])
                    fields.append(try client.response().headers["traceparent"])
                }
                try client.request("POST", "/v1/completions", body: #"{"model":"m","prompt":"a","max_tokens":2}"#)
                fields.append(try client.response().headers["traceparent"])
                return fields
            }
            for field in fields.prefix(2) {
                let context = try #require(field.flatMap { TraceContext($0) })
                #expect(context.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
                #expect(context.span != 0x00f0_67aa_0ba9_02b7, "the span is the server's own")
            }
            #expect(fields[0] != fields[1])
            #expect(fields[2] == nil)
            let outcomes = server.counters.outcomes[0][0]
            // The fake fleet's first token comes after 2 ms.
            let shown = ExemplarShelf.latest([outcomes.timeToFirstTokenExemplars]).compactMap { $0 }
            #expect(shown.map(\.traceID) == ["4bf92f3577b34da6a3ce929d0e0e4736"] && shown[0].value == 0.002)
            var page = Exposition(format: .openMetrics)
            page.family("t_seconds", .histogram, help: "T.")
            let shard = outcomes.timeToFirstToken
            let (counts, sum) = shard.read()
            page.histogram(
                bounds: shard.bounds, counts: counts, sum: sum,
                exemplars: ExemplarShelf.latest([outcomes.timeToFirstTokenExemplars]))
            let text = String(buffer: page.finish())
            #expect(
                text.contains(
                    "t_seconds_bucket{le=\"0.002\"} 3 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.002 "))
        }
    }
}
