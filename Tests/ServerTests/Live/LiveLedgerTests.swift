import Engine
import Foundation
import Ledger
import Logging
import Testing

@testable import Server

@Suite final class LiveLedgerTests {
    let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "trainyard-live-ledger-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder + "/memory", withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func record(_ id: UInt64) -> LedgerRecord {
        LedgerRecord(
            run: 1, answer: id,
            completion: Completion(
                requestID: id, arrivalNanoseconds: 1, scheduledNanoseconds: 2, firstTokenNanoseconds: 3,
                lastTokenNanoseconds: 4, promptTokens: 5, cachedPromptTokens: 0, outputTokens: 6, preemptions: 0,
                replica: 0, session: 0, tenant: 0, frontEnd: 0, priorityClass: 0, status: .finished),
            firstBlockHash: 0, blockCount: 0, maxOutputTokens: 6, side: .fleet, finish: .length)
    }

    private func ledger(loops: Int = 1, journal: String? = nil) throws -> LiveLedger {
        try LiveLedger(
            file: .init(path: folder + "/l.sqlite", retentionDays: nil, queueRows: 64, journalFolder: journal),
            loops: loops, run: LedgerRun(run: 2, fleet: "f", baseline: nil, model: "m", timeScale: "1"),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    @Test func whereJournalsLie() throws {
        func path(_ configured: String?, _ runtime: String?, _ memory: String) -> String {
            LedgerJournalFolder(
                ledger: folder + "/l.sqlite", configured: configured, runtimeDirectory: runtime, sharedMemory: memory
            ).path(0)
        }
        #expect(path("/a", "/b:/c", "/dev/shm").hasPrefix("/a/trainyard-"))
        #expect(path(nil, "/b:/c", "/dev/shm").hasPrefix("/b/trainyard-"))
        // A folder that is not a file system in memory is not taken for one.
        #expect(path(nil, nil, "/proc") == folder + "/l.sqlite-journal-0")
        #expect(path(nil, nil, "/nonexistent") == folder + "/l.sqlite-journal-0")
        let other = LedgerJournalFolder(ledger: folder + "/other", configured: "/a", runtimeDirectory: nil)
        #expect(other.path(0) != path("/a", nil, "/dev/shm"))
        // However the database's folder is written, it is the same database.
        let indirect = LedgerJournalFolder(
            ledger: folder + "/memory/../l.sqlite", configured: "/a", runtimeDirectory: nil)
        #expect(indirect.path(0) == path("/a", nil, "/dev/shm"))
    }

    /// A run that died left records in its journals; the next one has fewer loops and keeps journals elsewhere.
    @Test func storesWhatFormerRunsLeft() async throws {
        let memory = folder + "/memory"
        let place = LedgerJournalFolder(ledger: folder + "/l.sqlite", configured: memory, runtimeDirectory: nil)
        var id: UInt64 = 0
        for path in [place.path(0), place.path(3), folder + "/l.sqlite-journal-0"] {
            let journal = try LedgerJournal(path: path, capacity: 64)
            for _ in 0..<5 {
                #expect(journal.append(record(id)))
                id += 1
            }
        }
        let ledger = try ledger(journal: memory)
        #expect(try ledger.store.requestCount(run: 1) == 15)
        #expect(!FileManager.default.fileExists(atPath: place.path(3)))
        #expect(!FileManager.default.fileExists(atPath: folder + "/l.sqlite-journal-0"))
        ledger.start { [] }
        await ledger.stop()
        #expect(!FileManager.default.fileExists(atPath: place.path(0)), "an empty journal stays after a clean stop")
    }

    /// Every request ends twice, on the fleet and on the baseline: there must be room for both before it is taken.
    @Test func roomIsForBothEndsOfARequest() throws {
        let path = NSTemporaryDirectory() + "trainyard-room-\(UUID().uuidString)"
        let journal = try LedgerJournal(path: path, capacity: 64)
        defer { journal.removeIfEmpty() }
        let recorder = LoopLedger(journal: journal, run: 1)
        #expect(recorder.hasRoom(forRequests: 32))
        #expect(!recorder.hasRoom(forRequests: 33))
    }
}
