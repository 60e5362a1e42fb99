//===----------------------------------------------------------------------===//
// The durable ledger: the journal's ring, what survives, and the database.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import Ledger
import Testing

@Suite final class LedgerStoreTests {
    let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "trainyard-ledger-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    static func record(
        _ id: UInt64, run: UInt64 = 7, side: LedgerRecord.Side = .fleet, tokens: Int32 = 10, last: Int64 = 5_000
    )
        -> LedgerRecord
    {
        LedgerRecord(
            run: run, answer: id &* 3,
            completion: Completion(
                requestID: id, arrivalNanoseconds: 1_000, scheduledNanoseconds: 2_000, firstTokenNanoseconds: 3_000,
                lastTokenNanoseconds: last, promptTokens: 100, cachedPromptTokens: 16, outputTokens: tokens,
                preemptions: 0,
                replica: 3, session: 9, tenant: 1, frontEnd: 0, priorityClass: 0, status: .finished),
            firstBlockHash: .max, blockCount: 6, maxOutputTokens: tokens, side: side, finish: .length)
    }

    @Test func journalIsARing() throws {
        let journal = try LedgerJournal(path: folder + "/j", capacity: 64)
        var next: UInt64 = 0
        var expected: UInt64 = 0
        for round in 0..<50 {
            let burst = min(journal.free, 1 + round % 40)
            for _ in 0..<burst {
                #expect(journal.append(Self.record(next)))
                next += 1
            }
            let (records, slots) = journal.peek(limit: 17)
            #expect(records.map(\.completion.requestID) == Array(expected..<(expected + UInt64(slots))))
            expected += UInt64(slots)
            journal.release(slots)
        }
    }

    @Test func fullJournalTakesNothing() throws {
        let journal = try LedgerJournal(path: folder + "/j", capacity: 64)
        for id in 0..<64 { #expect(journal.append(Self.record(UInt64(id)))) }
        #expect(!journal.append(Self.record(64)))
        #expect(journal.free == 0)
        journal.release(1)
        #expect(journal.append(Self.record(64)))
    }

    @Test func recordsSurviveTheProcess() throws {
        // Unmapping writes nothing that was not in the pages already, so closing stands in for dying; the kill test
        // does the rest.
        let path = folder + "/j"
        do {
            let journal = try LedgerJournal(path: path, capacity: 64)
            for id in 0..<10 { #expect(journal.append(Self.record(UInt64(id)))) }
            journal.release(4)
        }
        let again = try LedgerJournal(path: path, capacity: 1024)
        #expect(again.recovered == 6)
        #expect(again.capacity == 64)
        #expect(again.peek(limit: 100).records.map(\.completion.requestID) == [4, 5, 6, 7, 8, 9])
    }

    @Test func damagedRecordsAreLeftOut() throws {
        let path = folder + "/j"
        do {
            let journal = try LedgerJournal(path: path, capacity: 64)
            for id in 0..<3 { #expect(journal.append(Self.record(UInt64(id)))) }
        }
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let stride = (data.count - 4096) / 64
        // The second record's arrival, and the third one's status, which then names none.
        try file.seek(toOffset: UInt64(4096 + stride + 24))
        file.write(Data([0xFF]))
        let status =
            try #require(MemoryLayout<LedgerRecord>.offset(of: \.completion)) + MemoryLayout<Completion>.offset(
                of: \.status)!
        try file.seek(toOffset: UInt64(4096 + 2 * stride + status))
        file.write(Data([0x77]))
        try file.close()
        let again = try LedgerJournal(path: path, capacity: 64)
        let (records, slots) = again.peek(limit: 64)
        #expect(slots == 3)
        #expect(records.map(\.completion.requestID) == [0])
    }

    @Test func twoProcessesCannotShareAJournal() throws {
        let journal = try LedgerJournal(path: folder + "/j", capacity: 64)
        #expect(throws: LedgerError.self) { try LedgerJournal(path: folder + "/j", capacity: 64) }
        _ = journal
    }

    @Test func storeKeepsBothSidesInWhateverOrder() throws {
        let store = try LedgerStore(path: folder + "/l.sqlite")
        try store.begin(LedgerRun(run: 7, fleet: "f", baseline: "b", model: "m", timeScale: "1"))
        try store.store([Self.record(1), Self.record(2, side: .baseline, last: 9_000)])
        try store.store([Self.record(2), Self.record(1, side: .baseline, last: 8_000)])
        // The same again, as after a crash between commit and release.
        try store.store([Self.record(1), Self.record(2)])
        #expect(try store.requestCount() == 2)
        var rows: [[String: String]] = []
        try store.export(run: 7) { rows.append(Dictionary(uniqueKeysWithValues: zip($0, $1))) }
        #expect(rows.map { $0["id"] } == ["1", "2"])
        #expect(rows.map { $0["baseline_last_token_ns"] } == ["8000", "9000"])
        #expect(rows.map { $0["last_token_ns"] } == ["5000", "5000"])
        #expect(try store.runs().map(\.requests) == [2])
    }

    @Test func sharesOfAWindowAddUpToIt() throws {
        let store = try LedgerStore(path: folder + "/l.sqlite")
        try store.store(
            [
                Self.record(1, tokens: 10, last: 100), Self.record(2, tokens: 30, last: 900),
                Self.record(3, tokens: 5, last: 1_500),
            ],
            windows: [
                LedgerWindow(
                    run: 7, side: .fleet, fromNanoseconds: 0, toNanoseconds: 1_000, microDollars: 400,
                    chipNanojoules: 800,
                    wallNanojoules: 1_200),
                LedgerWindow(
                    run: 7, side: .fleet, fromNanoseconds: 1_000, toNanoseconds: 2_000, microDollars: 50,
                    chipNanojoules: 60,
                    wallNanojoules: 70),
            ])
        var costs: [String: String] = [:]
        try store.export(run: nil) { columns, values in
            let row = Dictionary(uniqueKeysWithValues: zip(columns, values))
            costs[row["id"] ?? ""] = "\(row["microdollars"] ?? "") \(row["wall_nj"] ?? "")"
        }
        #expect(costs == ["1": "100.0 300.0", "2": "300.0 900.0", "3": "50.0 70.0"])
    }

    @Test func forgetsWhatIsOld() throws {
        let store = try LedgerStore(path: folder + "/l.sqlite")
        for run in [UInt64(1_000_000), 2_000_000] {
            try store.begin(LedgerRun(run: run, fleet: "f", baseline: nil, model: "m", timeScale: "1"))
            try store.store([Self.record(1, run: run), Self.record(2, run: run)])
        }
        #expect(try store.forget(endedBefore: 1_500_000) == 2)
        #expect(try store.requestCount() == 2)
        #expect(try store.runs().map(\.run.run) == [2_000_000])
    }

    /// Modelled time runs faster or slower than the calendar; what is old is judged by the calendar.
    @Test func forgetsByTheCalendarAtAnyTimeScale() throws {
        let store = try LedgerStore(path: folder + "/l.sqlite")
        let runs: [(UInt64, String)] = [(1_000_000, "max"), (2_000_000, "100"), (3_000_000, "0.5"), (4_000_000, "max")]
        for (run, scale) in runs {
            try store.begin(LedgerRun(run: run, fleet: "f", baseline: nil, model: "m", timeScale: scale))
            // One ended 50,000 modelled nanoseconds after the start, one 500,000; of one only the baseline's end is known.
            try store.store([
                Self.record(1, run: run, last: 50_000), Self.record(2, run: run, last: 500_000),
                Self.record(3, run: run, side: .baseline),
            ])
        }
        func left() throws -> [Int] { try runs.map { try store.requestCount(run: $0.0) } }
        #expect(try store.forget(endedBefore: 1_999_999) == 0)
        // The first run is over; the second is 4,000 ns old, which is 400,000 modelled ones.
        #expect(try store.forget(endedBefore: 2_004_000) == 4)
        #expect(try left() == [0, 2, 3, 3])
        // The second is over; the third is 200,000 ns old, 100,000 modelled. The last run has no end.
        #expect(try store.forget(endedBefore: 3_200_000) == 3)
        #expect(try left() == [0, 0, 2, 3])
        #expect(try store.forget(endedBefore: .max) == 2)
        #expect(try left() == [0, 0, 0, 3])
        #expect(try store.runs().map(\.run.run) == [4_000_000])
    }

    /// Retention of a century, at the fastest clock: nothing is that old, and nothing overflows.
    @Test func forgetsNothingOfACenturyAgo() throws {
        let store = try LedgerStore(path: folder + "/l.sqlite")
        let now: UInt64 = 1_800_000_000_000_000_000
        try store.begin(LedgerRun(run: now, fleet: "f", baseline: nil, model: "m", timeScale: "1000"))
        try store.store([Self.record(1, run: now)])
        #expect(try store.forget(endedBefore: 0) == 0)
        #expect(try store.forget(endedBefore: now + 1) == 0)
        #expect(try store.forget(endedBefore: now + 400 * 86_400_000_000_000) == 1)
    }

    @Test func forgetsInPieces() throws {
        let store = try LedgerStore(path: folder + "/l.sqlite")
        try store.begin(LedgerRun(run: 7, fleet: "f", baseline: nil, model: "m", timeScale: "1"))
        try store.store((0..<25).map { Self.record($0) })
        let pieces = try (0..<4).map { _ in try store.forget(endedBefore: 1_000_000, atMost: 10) }
        #expect(pieces == [10, 10, 5, 0])
        #expect(try store.runs().map(\.run.run) == [7], "the last run must stay")
    }

    @Test func unwritablePlacesAreNamed() {
        let problem = #expect(throws: LedgerError.self) { try LedgerStore(path: "/nonexistent/l.sqlite") }
        #expect(problem?.description.contains("/nonexistent/l.sqlite") == true)
        #expect(throws: LedgerError.self) { try LedgerJournal(path: "/nonexistent/j", capacity: 64) }
    }
}
