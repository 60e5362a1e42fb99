//===----------------------------------------------------------------------===//
// Events of a stream that differ from the one before in their text only.
//===----------------------------------------------------------------------===//

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Remembers an event with output and recognises those that are the same but for the text.
///
/// The chunks of a stream repeat their id, model and shape, token after token. What comes before the text and what
/// follows it is compared as bytes; if both are the same and the text holds neither a quote nor an escape, the event is
/// the same JSON with another string in that place, and need not be parsed to know what it carries. It is one for all
/// streams of a worker: a read mostly holds several events of one stream.
struct EventTemplate {
    private var before: [UInt8] = []
    private var after: [UInt8] = []

    /// Whether `payload` is like the remembered event, with a text that is not empty.
    func matches(_ payload: UnsafeBufferPointer<UInt8>) -> Bool {
        let textCount = payload.count - before.count - after.count
        guard !before.isEmpty, textCount > 0, let base = payload.baseAddress else { return false }
        let text = base + before.count
        return memcmp(base, before, before.count) == 0 && memcmp(text + textCount, after, after.count) == 0
            && memchr(text, 0x22, textCount) == nil && memchr(text, 0x5C, textCount) == nil
    }

    /// Remembers `payload`, whose only output is the string between the quotes around `text`.
    mutating func learn(_ payload: UnsafeBufferPointer<UInt8>, text: Range<Int>) {
        before.removeAll(keepingCapacity: true)
        before.append(contentsOf: payload[..<text.lowerBound])
        after.removeAll(keepingCapacity: true)
        after.append(contentsOf: payload[text.upperBound...])
    }
}
