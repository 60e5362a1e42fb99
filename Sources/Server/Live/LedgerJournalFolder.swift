//===----------------------------------------------------------------------===//
// Where a daemon's ledger keeps the records that wait for its disk.
//===----------------------------------------------------------------------===//

import Foundation

/// The folder and the names of one ledger's journals.
///
/// In this order: the configured folder; the service manager's `$RUNTIME_DIRECTORY`; `/dev/shm`; the database's own
/// folder, when there is no file system in memory. Names in a shared folder carry a hash of the database's path.
struct LedgerJournalFolder {
    private let prefix: String
    /// Where they are without a file system in memory.
    private let besideDatabase: String

    init(
        ledger: String, configured: String?,
        runtimeDirectory: String? = ProcessInfo.processInfo.environment["RUNTIME_DIRECTORY"],
        sharedMemory: String = "/dev/shm"
    ) {
        besideDatabase = ledger + "-journal-"
        let given = runtimeDirectory?.split(separator: ":").first.map(String.init)
        let folder = configured ?? given ?? (Self.isWritableMemory(sharedMemory) ? sharedMemory : nil)
        prefix = folder.map { "\($0)/trainyard-\(Self.hash(of: ledger))-journal-" } ?? besideDatabase
    }

    /// The journal of one event loop.
    func path(_ loop: Int) -> String { prefix + "\(loop)" }

    /// Journals that are there and that a run with so many loops would not use.
    func formerPaths(from loops: Int) -> [String] {
        func existing(_ prefix: String, from first: Int) -> [String] {
            (first..<1024).map { prefix + "\($0)" }.filter { FileManager.default.fileExists(atPath: $0) }
        }
        return existing(prefix, from: loops) + (prefix == besideDatabase ? [] : existing(besideDatabase, from: 0))
    }

    /// Whether a file system in memory is mounted there and takes files.
    private static func isWritableMemory(_ folder: String) -> Bool {
        guard let mounts = FileManager.default.contents(atPath: "/proc/self/mounts") else { return false }
        let kinds = String(decoding: mounts, as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count > 2 && fields[1] == folder ? fields[2] : nil
        }
        return kinds.last == "tmpfs" && access(folder, W_OK) == 0
    }

    /// FNV-1a of the path by which the whole machine knows the database, as 16 hexadecimal digits.
    private static func hash(of ledger: String) -> String {
        let name = (ledger as NSString).lastPathComponent
        let folder = (ledger as NSString).deletingLastPathComponent
        let real = realpath(folder.isEmpty ? "." : folder, nil)
        defer { free(real) }
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in ((real.map { String(cString: $0) } ?? folder) + "/" + name).utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
