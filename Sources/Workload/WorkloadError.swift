//===----------------------------------------------------------------------===//
// What is wrong with a workload, and where.
//===----------------------------------------------------------------------===//

/// Bad input: a description that cannot be understood, a file that cannot be read, a row that is malformed.
///
/// `description` is one line that names the place, what was found and what was expected, fit for standard error.
public struct WorkloadError: Error, Equatable, CustomStringConvertible, Sendable {
    /// File that holds the fault, or the workload as it was written on the command line; nil when neither applies.
    public var place: String?
    /// Line of `place`, counted from 1; nil when the fault is not in one line.
    public var line: Int?
    public var message: String

    public init(place: String? = nil, line: Int? = nil, _ message: String) {
        self.place = place
        self.line = line
        self.message = message
    }

    public var description: String {
        switch (place, line) {
        case (let place?, let line?): "\(place):\(line): \(message)"
        case (let place?, nil): "\(place): \(message)"
        default: message
        }
    }
}

/// The text of `bytes` for an error message: at most `limit` bytes, control characters and broken UTF-8 replaced.
func excerpt(_ bytes: UnsafeBufferPointer<UInt8>, limit: Int = 60) -> String {
    let shown = bytes.prefix(limit).map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: "?") : $0 }
    let text = String(decoding: shown, as: UTF8.self)
    return bytes.count > limit ? "\(text)…" : text
}
