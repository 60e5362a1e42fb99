//===----------------------------------------------------------------------===//
// Lines of a byte source, without copying or decoding them.
//===----------------------------------------------------------------------===//

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Cuts a byte source into lines. Memory is one block plus the longest line.
final class LineReader {
    /// Longest line that is accepted; a trace row of a 1 M-token prompt with one hash per 16 tokens is about 0.6 MB.
    static let longestLine = 64 << 20

    let name: String
    /// Number of the line that `next()` returned last, from 1.
    private(set) var lineNumber = 0

    private let source: any ByteSource
    private var buffer: UnsafeMutableBufferPointer<UInt8>
    /// The bytes `start ..< end` of the buffer are read and not yet handed out.
    private var start = 0
    private var end = 0
    private var atEnd = false

    /// - Parameter blockSize: bytes asked of the source at once; small values are for tests of the seams.
    init(_ source: any ByteSource, name: String, blockSize: Int = 1 << 18) {
        self.source = source
        self.name = name
        buffer = .allocate(capacity: max(blockSize, 16))
    }

    deinit { buffer.deallocate() }

    /// The next line without its end (`\n` or `\r\n`), valid until the next call; nil at the end. The last line may
    /// lack its end.
    func next() throws(WorkloadError) -> UnsafeBufferPointer<UInt8>? {
        var scanned = start
        while true {
            if let newline = memchr(buffer.baseAddress! + scanned, 10, end - scanned) {
                let position = UnsafeRawPointer(newline) - UnsafeRawPointer(buffer.baseAddress!)
                defer { start = position + 1 }
                return line(endingAt: position)
            }
            scanned = end
            if atEnd {
                if start == end { return nil }
                defer { start = end }
                return line(endingAt: end)
            }
            let consumed = start
            try fill()
            scanned -= consumed - start
        }
    }

    private func line(endingAt position: Int) -> UnsafeBufferPointer<UInt8> {
        lineNumber += 1
        let last = position > start && buffer[position - 1] == 13 ? position - 1 : position
        return UnsafeBufferPointer(rebasing: buffer[start..<last])
    }

    /// Moves what is left to the front, grows the buffer if it is full, and reads one block more.
    private func fill() throws(WorkloadError) {
        if start > 0 {
            memmove(buffer.baseAddress!, buffer.baseAddress! + start, end - start)
            end -= start
            start = 0
        }
        if end == buffer.count {
            guard buffer.count < LineReader.longestLine else {
                throw WorkloadError(
                    place: name, line: lineNumber + 1, "is longer than \(LineReader.longestLine >> 20) MiB")
            }
            let larger = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: buffer.count * 2)
            memcpy(larger.baseAddress!, buffer.baseAddress!, end)
            buffer.deallocate()
            buffer = larger
        }
        let count = try source.read(
            into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[end...]))
        if count == 0 { atEnd = true } else { end += count }
    }

    /// An error that names the present line.
    func error(_ message: String) -> WorkloadError { WorkloadError(place: name, line: lineNumber, message) }
}
