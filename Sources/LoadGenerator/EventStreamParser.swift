//===----------------------------------------------------------------------===//
// Server-sent events: `data:` lines out of a body that comes in pieces.
//===----------------------------------------------------------------------===//

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Cuts an event stream into the payloads of its `data:` lines. OpenAI's streams have one such line an event, so each
/// is handed out as it is complete; comments and other fields are passed over.
struct EventStreamParser {
    /// Longest line; a chunk with logprobs for 20 candidates is below 10 kB.
    private static let longestLine = 4 << 20

    /// The beginning of a line whose end has not come yet.
    private var carry: [UInt8] = []

    /// Whether an unfinished line is waiting for its end.
    var isInsideLine: Bool { !carry.isEmpty }

    mutating func reset() { carry.removeAll(keepingCapacity: true) }

    /// Calls `body` with the payload of every `data:` line that `bytes` complete; false when a line is too long.
    @inline(__always)
    mutating func feed(_ bytes: UnsafeBufferPointer<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Void) -> Bool {
        var position = 0
        while position < bytes.count {
            let base = bytes.baseAddress! + position
            guard let newline = memchr(base, 10, bytes.count - position) else {
                guard carry.count + bytes.count - position <= EventStreamParser.longestLine else { return false }
                carry.append(contentsOf: bytes[position...])
                return true
            }
            let length = UnsafeRawPointer(newline) - UnsafeRawPointer(base)
            position += length + 1
            if carry.isEmpty {
                if let payload = EventStreamParser.payload(UnsafeBufferPointer(start: base, count: length)) {
                    body(payload)
                }
            } else {
                carry.append(contentsOf: UnsafeBufferPointer(start: base, count: length))
                carry.withUnsafeBufferPointer { if let payload = EventStreamParser.payload($0) { body(payload) } }
                carry.removeAll(keepingCapacity: true)
            }
        }
        return true
    }

    /// What follows `data:` and at most one blank, without a carriage return at the end; nil for any other line.
    @inline(__always)
    private static func payload(_ line: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
        guard line.count >= 5, line[0] == 100, line[1] == 97, line[2] == 116, line[3] == 97, line[4] == 58 else {
            return nil
        }
        let start = line.count > 5 && line[5] == 32 ? 6 : 5
        let end = line[line.count - 1] == 13 ? line.count - 1 : line.count
        return UnsafeBufferPointer(rebasing: line[start..<max(start, end)])
    }
}
