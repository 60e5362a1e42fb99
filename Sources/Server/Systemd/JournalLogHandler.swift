//===----------------------------------------------------------------------===//
// Log messages as journal entries with fields.
//===----------------------------------------------------------------------===//

import Foundation
public import Logging

/// Writes to the journal's own socket (systemd's "Native Journal Protocol"), so that `journalctl` can filter by priority
/// and by field: `journalctl -u trainyard TRAINYARD_RUN=… PRIORITY=3`.
///
/// A message's metadata become fields, the key in capitals behind `TRAINYARD_`. What the journal does not take, because
/// it is away or its buffer is full, goes to standard error, which the service manager passes on without fields.
public struct JournalLogHandler: LogHandler {
    /// A journal entry may be longer, but a datagram must fit the socket's send buffer (208 KiB by default).
    private static let longestValue = 48 * 1024

    public var logLevel: Logger.Level = .info
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let journal: UnixDatagram
    private let otherwise: StreamLogHandler

    /// Nil unless standard error is connected to the journal, which `JOURNAL_STREAM` says: "device:inode" of that
    /// stream.
    /// - Parameter standardError: what the descriptor is, as `/proc/self/fd` shows it: `socket:[INODE]`.
    public init?(
        label: String, stream: String?, standardError: String?, socket: String = "/run/systemd/journal/socket"
    ) {
        guard let inode = stream?.split(separator: ":").last, standardError == "socket:[\(inode)]",
            let journal = UnixDatagram(socket)
        else { return nil }
        self.label = label
        self.journal = journal
        otherwise = .standardError(label: label)
    }

    /// Takes the stream from the environment.
    public static func fromEnvironment(label: String) -> JournalLogHandler? {
        JournalLogHandler(
            label: label, stream: ProcessInfo.processInfo.environment["JOURNAL_STREAM"],
            standardError: try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/2"))
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var entry = JournalEntry()
        entry.add("MESSAGE", event.message.description, longest: Self.longestValue)
        entry.add("PRIORITY", "\(Self.priority(event.level))", longest: Self.longestValue)
        entry.add("SYSLOG_IDENTIFIER", label, longest: Self.longestValue)
        entry.add("CODE_FILE", event.file, longest: Self.longestValue)
        entry.add("CODE_LINE", "\(event.line)", longest: Self.longestValue)
        entry.add("CODE_FUNC", event.function, longest: Self.longestValue)
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            entry.add(JournalEntry.fieldName(key), "\(value)", longest: Self.longestValue)
        }
        if journal.send(entry.bytes) { return }
        otherwise.log(event: event)
    }

    /// syslog(3)'s numbers, as the journal stores them.
    static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}

/// The bytes of one entry.
struct JournalEntry {
    private(set) var bytes: [UInt8] = []

    /// `NAME=value`, or for a value with line breaks its name, its length as 64 little-endian bits, and the value.
    mutating func add(_ name: String, _ value: String, longest: Int) {
        let value = value.utf8.prefix(longest)
        bytes += name.utf8
        if value.contains(UInt8(ascii: "\n")) {
            bytes.append(UInt8(ascii: "\n"))
            withUnsafeBytes(of: UInt64(value.count).littleEndian) { bytes += $0 }
        } else {
            bytes.append(UInt8(ascii: "="))
        }
        bytes += value
        bytes.append(UInt8(ascii: "\n"))
    }

    /// A name that the journal accepts: capitals, digits and underscores, at most 64, not beginning with an underscore.
    static func fieldName(_ key: String) -> String {
        let letters = key.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 32
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
            default: UInt8(ascii: "_")
            }
        }
        return String(decoding: (Array("TRAINYARD_".utf8) + letters).prefix(64), as: UTF8.self)
    }
}
