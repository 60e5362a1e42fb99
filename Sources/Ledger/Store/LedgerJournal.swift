//===----------------------------------------------------------------------===//
// A ring of records in a mapped file: what makes a row durable before its answer leaves.
//===----------------------------------------------------------------------===//

import Engine
import Glibc
import Synchronization

/// What is wrong with a ledger's files.
public struct LedgerError: Error, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}

/// A bounded ring of ledger records in a file that is mapped into memory, with one writer and one reader.
///
/// **Durability.** A record that `append` returned from is in the file's pages, which belong to the kernel: it is there
/// after the process dies, `kill -9` included, without a system call on the way. The reader moves records into the
/// database and only then gives their slots back, so each record is in at least one of the two. A machine that loses
/// power loses what the reader had not yet moved, and the last transactions of SQLite's log with it.
///
/// **Where.** The folder should be a file system in memory (tmpfs). On a disk, a write to a page that the kernel has
/// just written out waits for the file system's own journal, and with it whoever appends: seconds, on a slow disk.
///
/// **Bound.** The file is allocated in full when it is made, so a disk that fills up later cannot fault the writer. A
/// full ring takes nothing; whoever admits work asks `free` first and refuses what could not be recorded.
///
/// Layout: a page of header (magic, version, record bytes, capacity; tail at 128, head at 256), then the slots.
public final class LedgerJournal: @unchecked Sendable {
    private static let magic: UInt64 = 0x7472_6169_6E79_6A31
    private static let headerBytes = 4096
    private struct Slot: BitwiseCopyable {
        var record: LedgerRecord
        var checksum: UInt64
    }

    public let capacity: Int
    public let path: String
    private let descriptor: Int32
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int
    /// Records that lay in the file when it was opened: a former run did not get to store them.
    public let recovered: Int

    /// Opens a journal, or makes one.
    /// - Parameter capacity: records; a power of two. Ignored for a file that holds records.
    /// - Throws: `LedgerError` when another process has it, the disk is full, it belongs to another user (folders in
    /// memory are often everybody's), or it was written by another version and is not empty.
    public init(path: String, capacity: Int) throws {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0)
        self.path = path
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw LedgerError("cannot open \(path): \(String(cString: strerror(errno)))") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_uid == geteuid() else {
            close(descriptor)
            throw LedgerError("\(path) belongs to another user")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw LedgerError("\(path) is in use by another process")
        }
        do {
            let kept = try Self.existingCapacity(descriptor, path: path)
            self.capacity = kept ?? capacity
            byteCount = Self.headerBytes + self.capacity * MemoryLayout<Slot>.stride
            if kept == nil {
                guard ftruncate(descriptor, 0) == 0 else { throw LedgerError("cannot empty \(path)") }
                let code = posix_fallocate(descriptor, 0, off_t(byteCount))
                guard code == 0 else {
                    throw LedgerError(
                        "cannot allocate \(byteCount) bytes for \(path): \(String(cString: strerror(code)))")
                }
            }
            guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), base != MAP_FAILED
            else {
                throw LedgerError("cannot map \(path): \(String(cString: strerror(errno)))")
            }
            self.base = base
            self.descriptor = descriptor
            if kept == nil {
                base.storeBytes(of: UInt32(MemoryLayout<Slot>.stride), toByteOffset: 8, as: UInt32.self)
                base.storeBytes(of: UInt64(self.capacity), toByteOffset: 16, as: UInt64.self)
                base.storeBytes(of: Self.magic, as: UInt64.self)
            }
        } catch {
            close(descriptor)
            throw error
        }
        let tail = Self.word(base, 128).pointee.load(ordering: .acquiring)
        recovered = Int(tail &- Self.word(base, 256).pointee.load(ordering: .acquiring))
    }

    deinit {
        munmap(base, byteCount)
        close(descriptor)
    }

    /// Capacity of a file that holds records; nil when it is new, empty, or has nothing to lose.
    private static func existingCapacity(_ descriptor: Int32, path: String) throws -> Int? {
        var header = [UInt64](repeating: 0, count: headerBytes / 8)
        let count = header.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == headerBytes, header[128 / 8] != header[256 / 8] else { return nil }
        var status = stat()
        let capacity = Int(truncatingIfNeeded: header[2])
        guard header[0] == magic, UInt32(truncatingIfNeeded: header[1]) == UInt32(MemoryLayout<Slot>.stride),
            capacity > 0,
            capacity <= 1 << 28, capacity & (capacity - 1) == 0, header[128 / 8] &- header[256 / 8] <= UInt64(capacity),
            fstat(descriptor, &status) == 0, Int(status.st_size) >= headerBytes + capacity * MemoryLayout<Slot>.stride
        else {
            throw LedgerError(
                "\(path) holds records of another version: start the version that wrote it once, or move the file away")
        }
        return capacity
    }

    private static func word(_ base: UnsafeMutableRawPointer, _ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private var tail: UnsafeMutablePointer<Atomic<UInt64>> { Self.word(base, 128) }
    private var head: UnsafeMutablePointer<Atomic<UInt64>> { Self.word(base, 256) }

    private func slot(_ index: UInt64) -> UnsafeMutablePointer<Slot> {
        (base + Self.headerBytes + Int(index & UInt64(capacity - 1)) * MemoryLayout<Slot>.stride).assumingMemoryBound(
            to: Slot.self)
    }

    // MARK: The writer

    /// Records that still fit.
    public var free: Int { capacity - count }

    /// Appends a record; false when the ring is full. One writer.
    public func append(_ record: LedgerRecord) -> Bool {
        let tail = tail.pointee.load(ordering: .relaxed)
        guard tail &- head.pointee.load(ordering: .acquiring) < UInt64(capacity) else { return false }
        slot(tail).pointee = Slot(record: record, checksum: record.checksum)
        self.tail.pointee.store(tail &+ 1, ordering: .releasing)
        return true
    }

    // MARK: The reader

    /// Records that wait to be stored. Any thread may ask.
    public var count: Int { Int(tail.pointee.load(ordering: .acquiring) &- head.pointee.load(ordering: .acquiring)) }

    /// The oldest records, at most `limit`, which stay until `release`. Records that are not whole are left out. One
    /// reader.
    public func peek(limit: Int) -> (records: [LedgerRecord], slots: Int) {
        let head = head.pointee.load(ordering: .relaxed)
        let slots = min(limit, Int(tail.pointee.load(ordering: .acquiring) &- head))
        var records: [LedgerRecord] = []
        records.reserveCapacity(slots)
        for offset in 0..<UInt64(slots) {
            // The bytes come from a file: they are checked before they are believed to be a record.
            let place = slot(head &+ offset)
            guard Self.isPlausible(UnsafeRawPointer(place)) else { continue }
            let slot = place.pointee
            if slot.record.checksum == slot.checksum { records.append(slot.record) }
        }
        return (records, slots)
    }

    /// Gives back the slots of the oldest records, which the database now has.
    public func release(_ slots: Int) {
        let head = head.pointee.load(ordering: .relaxed)
        precondition(slots >= 0 && UInt64(slots) <= tail.pointee.load(ordering: .acquiring) &- head)
        self.head.pointee.store(head &+ UInt64(slots), ordering: .releasing)
    }

    /// Removes the file, which nobody needs when nothing waits in it.
    public func removeIfEmpty() { if count == 0 { unlink(path) } }

    /// Whether the enumerations in a slot's bytes have values that exist.
    private static func isPlausible(_ slot: UnsafeRawPointer) -> Bool {
        let completion = MemoryLayout<LedgerRecord>.offset(of: \.completion)!
        let status = slot.load(
            fromByteOffset: completion + MemoryLayout<Completion>.offset(of: \.status)!, as: UInt8.self)
        let side = slot.load(fromByteOffset: MemoryLayout<LedgerRecord>.offset(of: \.side)!, as: UInt8.self)
        let finish = slot.load(fromByteOffset: MemoryLayout<LedgerRecord>.offset(of: \.finish)!, as: UInt8.self)
        return Completion.Status(rawValue: status) != nil && LedgerRecord.Side(rawValue: side) != nil
            && LedgerRecord.Finish(rawValue: finish) != nil
    }
}
