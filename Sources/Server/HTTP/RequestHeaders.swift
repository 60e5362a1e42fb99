//===----------------------------------------------------------------------===//
// Header fields of a generation request that change what is modelled.
//===----------------------------------------------------------------------===//

import NIOHTTP1

/// What a request's header fields say, read once.
struct RequestHeaders: Equatable {
    /// Echoed in the response.
    var requestID: String?
    /// Conversation that the request belongs to, 0 for none.
    var session: UInt64 = 0
    /// Latency promises, 0 for none.
    var ttftTargetMicroseconds: UInt32 = 0
    var tpotTargetMicroseconds: UInt32 = 0
    /// The trace that the request belongs to.
    var trace: TraceContext?

    init() {}

    /// - Throws: status 400 for a promise that is not a number of milliseconds.
    init(_ headers: HTTPHeaders) throws(APIError) {
        for (name, value) in headers {
            switch name.count {
            case 11 where name.lowercased() == "traceparent": trace = TraceContext(value)
            case 12 where name.lowercased() == "x-request-id": requestID = ResponseHead.acceptableRequestID(value)
            case 13 where name.lowercased() == "x-slo-ttft-ms":
                ttftTargetMicroseconds = try Self.microseconds(name, value)
            case 13 where name.lowercased() == "x-slo-tpot-ms":
                tpotTargetMicroseconds = try Self.microseconds(name, value)
            case 15 where name.lowercased() == "x-session-token":
                session = value.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 } | 1
            default: break
            }
        }
    }

    private static func microseconds(_ name: String, _ value: String) throws(APIError) -> UInt32 {
        guard let milliseconds = Double(value), milliseconds >= 0, milliseconds <= 4_000_000 else {
            throw .invalid("The header `\(name)` is `\(value)`; it must be a number of milliseconds.", parameter: name)
        }
        return UInt32((milliseconds * 1000).rounded())
    }
}
