//===----------------------------------------------------------------------===//
// One request on its way, as a stream of HTTP/2.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOHPACK
import Workload

/// A request, and what its answer has said so far. What a stream of HTTP/2 carries is told to the same exchange that
/// follows an answer of HTTP/1.1, so both are measured and judged alike.
final class MultiplexedStream {
    let ticket: RequestTicket
    var exchange: StreamExchange
    /// Reads of the connection when the request was sent: whether anything has come since.
    let readsBefore: UInt64
    private var hasHead = false
    /// Bytes of the body that the head has announced and that have not come; nil where it announced none.
    private var bytesLeft: Int?

    init(_ ticket: RequestTicket, _ exchange: StreamExchange, readsBefore: UInt64) {
        self.ticket = ticket
        self.exchange = exchange
        self.readsBefore = readsBefore
    }

    /// A head, an interim head (1xx, which is passed over) or the trailers (which say nothing to this client).
    func takeHead(_ fields: HPACKHeaders, isLast: Bool) {
        if !hasHead {
            let head: ResponseHead
            do throws(HTTPFault) {
                (head, bytesLeft) = try ResponseHead.reading(fields)
            } catch {
                return exchange.fail(.garbage, "not a response of HTTP/2: \(error.reason)")
            }
            if head.status >= 200 {
                hasHead = true
                exchange.head(head)
                // These have no body, whatever length they announce.
                if head.status == 204 || head.status == 304 { bytesLeft = nil }
            }
        }
        if isLast { end() }
    }

    func takeBody(_ bytes: ByteBuffer, isLast: Bool) {
        if let left = bytesLeft {
            guard bytes.readableBytes <= left else {
                return exchange.fail(.garbage, "not a response of HTTP/2: a body longer than its content-length")
            }
            bytesLeft = left - bytes.readableBytes
        }
        let goesOn = bytes.withUnsafeReadableBytes { exchange.body($0.assumingMemoryBound(to: UInt8.self)) }
        if isLast, goesOn { end() }
    }

    private func end() {
        guard hasHead else { return exchange.fail(.garbage, "not a response of HTTP/2: it ends without a head") }
        if let left = bytesLeft, left > 0 {
            return exchange.fail(.truncated, "the answer ended \(left) bytes before its content-length")
        }
        exchange.end()
    }
}

extension ResponseHead {
    /// Reads the fields of a head, and the length that it announces for the body.
    static func reading(_ fields: HPACKHeaders) throws(HTTPFault) -> (ResponseHead, bodyLength: Int?) {
        var head = ResponseHead()
        var length: Int?
        for (name, value, _) in fields {
            switch name {
            case ":status":
                guard let status = number(value), (100...999).contains(status) else {
                    throw HTTPFault(reason: "a malformed status")
                }
                head.status = status
            case "content-type": head.isEventStream = value.lowercased().hasPrefix("text/event-stream")
            case "retry-after": head.retryAfterSeconds = number(value).flatMap { $0 <= 86_400 ? $0 : nil }
            case "content-length":
                guard let announced = number(value), announced < 1 << 40 else {
                    throw HTTPFault(reason: "a malformed content-length")
                }
                length = announced
            default: break
            }
        }
        return (head, length)
    }

    private static func number(_ text: String) -> Int? {
        var text = text
        return text.withUTF8 { FieldParsing.integer($0) }.flatMap { Int(exactly: $0) }
    }
}
