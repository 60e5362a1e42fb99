//===----------------------------------------------------------------------===//
// The ledger of a running daemon: journals that loops write, a thread that stores.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import Ledger
import Logging
import Synchronization

/// Makes every accepted request a durable row.
///
/// When a request ends, its event loop writes a record into its own journal, in mapped memory, *before* the answer's
/// last byte is written: a few hundred nanoseconds, no system call, and no wait for a disk, since journals lie in a
/// file system in memory (`LedgerJournalFolder`). A thread of this class moves records into SQLite in transactions of
/// up to 4096. Both survive `kill -9`; what a former run left in its journals is stored at the next start.
///
/// When the disk cannot keep up or is full, journals fill, and requests are refused with 503 (`ledger_behind`) as soon
/// as the ends of those in flight would no longer fit. Nothing that was accepted goes unrecorded.
final class LiveLedger: Sendable {
    private static let batch = 4096
    private static let pollNanoseconds: Int64 = 5_000_000
    private static let bookSeconds: Int64 = 10

    let store: LedgerStore
    let run: UInt64
    private let journals: [LedgerJournal]
    private let retentionDays: Double?
    private let logger: Logger
    private let stored = Atomic<UInt64>(0)
    private let errors = Atomic<UInt64>(0)
    private let lastError = Mutex<String?>(nil)
    private let isStopping = Atomic<Bool>(false)
    private let ended = Mutex<CheckedContinuation<Void, Never>?>(nil)

    /// Opens the database and the journals, and stores what a former run left in them.
    init(file: DaemonConfiguration.LedgerFile, loops: Int, run: LedgerRun, logger: Logger) throws {
        self.run = run.run
        self.logger = logger
        retentionDays = file.retentionDays
        let folder = (file.path as NSString).deletingLastPathComponent
        if !folder.isEmpty, !FileManager.default.fileExists(atPath: folder) {
            throw LedgerError("the ledger's folder \(folder) does not exist")
        }
        store = try LedgerStore(path: file.path)
        let capacity = Self.powerOfTwo(atLeast: file.queueRows)
        let place = LedgerJournalFolder(ledger: file.path, configured: file.journalFolder)
        // A former run may have had more loops, or kept its journals beside the database: what they hold is stored.
        for path in place.formerPaths(from: loops) {
            let journal = try LedgerJournal(path: path, capacity: 64)
            try Self.empty(journal, into: store, logger: logger)
            journal.removeIfEmpty()
        }
        journals = try (0..<loops).map { try LedgerJournal(path: place.path($0), capacity: capacity) }
        for journal in journals { try Self.empty(journal, into: store, logger: logger) }
        try store.begin(run)
    }

    private static func powerOfTwo(atLeast value: Int) -> Int {
        var power = 64
        while power < value { power *= 2 }
        return power
    }

    private static func empty(_ journal: LedgerJournal, into store: LedgerStore, logger: Logger) throws {
        while journal.count > 0 {
            let (records, slots) = journal.peek(limit: batch)
            try store.store(records)
            journal.release(slots)
            logger.notice(
                "the ledger recovered \(records.count) records of a former run",
                metadata: ["ledger": "\(store.path)", "records": "\(records.count)"])
            if records.count < slots { logger.warning("\(slots - records.count) of its records were not whole") }
        }
    }

    /// The recorder of one event loop.
    func recorder(loop: Int) -> any OutcomeRecorder { LoopLedger(journal: journals[loop], run: run) }

    // MARK: The thread

    /// Starts storing. `books` gives each side's cost and energy so far.
    func start(books: @escaping @Sendable () -> [SideBooks]) {
        let thread = Thread { self.work(books: books) }
        thread.name = "ledger"
        thread.start()
    }

    private func work(books: @escaping @Sendable () -> [SideBooks]) {
        var last = books()
        var booksDue = ModelledClock.monotonicNanoseconds() + Self.bookSeconds * 1_000_000_000
        var retentionDue: Int64 = 0
        while true {
            let isLast = isStopping.load(ordering: .acquiring)
            let now = ModelledClock.monotonicNanoseconds()
            var windows: [LedgerWindow] = []
            var next = last
            if isLast || now >= booksDue {
                booksDue = now + Self.bookSeconds * 1_000_000_000
                next = books()
                windows = zip(last, next).compactMap { SideBooks.window(run: run, from: $0, to: $1) }
            }
            let isIdle = storeOnce(windows)
            if isIdle != nil { last = next }
            // Once an hour, in pieces between which records are stored.
            if now >= retentionDue, let retentionDays, !isLast {
                if !forget(olderThanDays: retentionDays) { retentionDue = now + 3_600_000_000_000 }
            }
            if isIdle == true {
                if isLast { break }
                usleep(UInt32(Self.pollNanoseconds / 1000))
            } else if isIdle == nil {
                if isLast { break }
                usleep(1_000_000)
            }
        }
        for journal in journals { journal.removeIfEmpty() }
        ended.withLock { $0 }?.resume()
    }

    /// Stores what waits. True when nothing is left, false when there may be more, nil when the database refused.
    private func storeOnce(_ windows: [LedgerWindow]) -> Bool? {
        var isIdle = true
        do {
            try store.store([], windows: windows)
            for journal in journals {
                let (records, slots) = journal.peek(limit: Self.batch)
                if slots == 0 { continue }
                try store.store(records)
                journal.release(slots)
                stored.wrappingAdd(UInt64(records.count), ordering: .relaxed)
                if slots == Self.batch { isIdle = false }
            }
            let had = lastError.withLock { error in
                defer { error = nil }
                return error
            }
            if had != nil { logger.notice("the ledger stores again") }
            return isIdle
        } catch {
            errors.wrappingAdd(1, ordering: .relaxed)
            let isNew = lastError.withLock { last in
                defer { last = "\(error)" }
                return last != "\(error)"
            }
            if isNew {
                logger.error(
                    "the ledger cannot store, and tries again every second: \(error)",
                    metadata: ["ledger": "\(store.path)", "waiting_records": "\(waiting)"])
            }
            return nil
        }
    }

    /// Forgets a piece of what is too old. Whether there may be more.
    private func forget(olderThanDays days: Double) -> Bool {
        let limit = UInt64(max(0, (Double(time(nil)) - days * 86_400) * 1e9))
        do {
            let count = try store.forget(endedBefore: limit)
            if count > 0 { logger.info("the ledger forgot \(count) requests older than \(days) days") }
            return count > 0
        } catch {
            logger.error("the ledger could not forget: \(error)")
            return false
        }
    }

    /// Stores everything that is left and ends the thread. Once, after `start`.
    func stop() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            ended.withLock { $0 = continuation }
            isStopping.store(true, ordering: .releasing)
        }
    }

    // MARK: Figures

    var waiting: Int { journals.reduce(0) { $0 + $1.count } }
    var capacity: Int { journals.reduce(0) { $0 + $1.capacity } }

    /// Why the ledger cannot take more; nil when it can.
    var problem: String? {
        guard waiting * 2 > capacity else { return nil }
        return
            "The ledger has \(waiting) records waiting for its disk\(lastError.withLock { $0 }.map { ": \($0)" } ?? "")."
    }

    func write(_ page: inout Exposition) {
        page.family("trainyard_ledger_stored_records_total", .counter, help: "Records moved into the database.")
        page.sample([], count: stored.load(ordering: .relaxed))
        page.family("trainyard_ledger_waiting_records", .gauge, help: "Records in the journals.")
        page.sample([], Double(waiting))
        page.family("trainyard_ledger_capacity_records", .gauge, help: "Records that the journals hold.")
        page.sample([], Double(capacity))
        page.family("trainyard_ledger_errors_total", .counter, help: "Transactions that the database refused.")
        page.sample([], count: errors.load(ordering: .relaxed))
    }
}

/// The recorder of one event loop; only that loop calls it.
final class LoopLedger: OutcomeRecorder {
    private let journal: LedgerJournal
    private let run: UInt64

    init(journal: LedgerJournal, run: UInt64) {
        self.journal = journal
        self.run = run
    }

    /// A request has two ends: the fleet's and the baseline's.
    func hasRoom(forRequests count: Int) -> Bool { journal.free >= 2 * count }

    func ended(_ request: EndedRequest) {
        let finish: LedgerRecord.Finish =
            switch request.finish {
            case .stop: .stop
            case .length: .length
            case .toolCalls: .toolCalls
            }
        let record = LedgerRecord(
            run: run, answer: request.answer, completion: request.completion, firstBlockHash: request.firstBlockHash,
            blockCount: request.blockCount, maxOutputTokens: request.maxOutputTokens,
            side: request.side == .fleet ? .fleet : .baseline, finish: finish)
        let isTaken = journal.append(record)
        precondition(isTaken, "a request was admitted for which the ledger had no room")
    }
}

/// A side's cost and energy from its start to a time.
struct SideBooks: Sendable, Equatable {
    var side: LedgerRecord.Side
    var atNanoseconds: Int64
    var microDollars: Int64?
    var chipNanojoules: Int64
    var wallNanojoules: Int64

    init(_ yard: LiveYard) {
        let settlement = yard.settlement()
        side = yard.side == .fleet ? .fleet : .baseline
        atNanoseconds = settlement.windowNanoseconds
        microDollars = settlement.microDollars.map { Int64(clamping: $0) }
        chipNanojoules = Int64(clamping: settlement.energies.reduce(0) { $0 + $1.chipNanojoules })
        wallNanojoules = Int64(clamping: settlement.energies.reduce(0) { $0 + $1.wallNanojoules })
    }

    /// The stretch between two states; nil when no modelled time passed.
    static func window(run: UInt64, from: SideBooks, to: SideBooks) -> LedgerWindow? {
        guard to.atNanoseconds > from.atNanoseconds else { return nil }
        return LedgerWindow(
            run: run, side: to.side, fromNanoseconds: from.atNanoseconds, toNanoseconds: to.atNanoseconds,
            microDollars: to.microDollars.flatMap { later in from.microDollars.map { later - $0 } },
            chipNanojoules: to.chipNanojoules - from.chipNanojoules,
            wallNanojoules: to.wallNanojoules - from.wallNanojoules)
    }
}
