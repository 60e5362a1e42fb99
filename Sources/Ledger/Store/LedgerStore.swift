//===----------------------------------------------------------------------===//
// The ledger's database: one row a request, in SQLite.
//===----------------------------------------------------------------------===//

import Engine
import GRDB

/// What of a run the database keeps besides its requests.
public struct LedgerRun: Sendable, Equatable {
    /// Unix time of the daemon's start in nanoseconds.
    public var run: UInt64
    public var fleet: String
    public var baseline: String?
    public var model: String
    public var timeScale: String
    /// The fleet file's text, so that the run can be replayed on the same fleet; nil when it stood in the
    /// configuration.
    public var fleetFile: String?

    public init(
        run: UInt64, fleet: String, baseline: String?, model: String, timeScale: String, fleetFile: String? = nil
    ) {
        self.run = run
        self.fleet = fleet
        self.baseline = baseline
        self.model = model
        self.timeScale = timeScale
        self.fleetFile = fleetFile
    }
}

/// One request as it came in, for a replay.
public struct LedgerArrival: Sendable, Equatable {
    /// Modelled time since the run's start.
    public var arrivalNanoseconds: Int64
    public var promptTokens: Int32
    public var outputTokens: Int32
}

/// Cost and energy of one side over a stretch of modelled time: what requests' shares are computed from.
public struct LedgerWindow: Sendable, Equatable {
    public var run: UInt64
    public var side: LedgerRecord.Side
    public var fromNanoseconds: Int64
    public var toNanoseconds: Int64
    /// Nil when the side has no price.
    public var microDollars: Int64?
    public var chipNanojoules: Int64
    public var wallNanojoules: Int64

    public init(
        run: UInt64, side: LedgerRecord.Side, fromNanoseconds: Int64, toNanoseconds: Int64, microDollars: Int64?,
        chipNanojoules: Int64, wallNanojoules: Int64
    ) {
        self.run = run
        self.side = side
        self.fromNanoseconds = fromNanoseconds
        self.toNanoseconds = toNanoseconds
        self.microDollars = microDollars
        self.chipNanojoules = chipNanojoules
        self.wallNanojoules = wallNanojoules
    }
}

/// The database, in WAL mode: one writer, any number of readers beside it.
///
/// `request` has a row for each request of each run, with the fleet's outcome and the baseline's. `book` has what each
/// side cost and drew in stretches of time. The view `request_share` gives every request its share of the stretch that
/// it ended in, by output tokens, so that the shares of a stretch add up to it.
public final class LedgerStore: Sendable {
    private let database: DatabaseQueue
    public let path: String

    /// Opens or makes the database and brings its schema up to date.
    public init(path: String) throws {
        self.path = path
        var configuration = Configuration()
        // A daemon that closes its database writes the log back under an exclusive lock: whoever opens it then waits.
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            // A committed transaction survives the process; fsync happens at checkpoints.
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
        }
        do {
            database = try DatabaseQueue(path: path, configuration: configuration)
            try Self.migrator.migrate(database)
        } catch let error as DatabaseError {
            throw LedgerError("\(path): \(error.message ?? "SQLite error \(error.resultCode.rawValue)")")
        }
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            let outcome = { (prefix: String) in
                [
                    "status INTEGER", "scheduled_ns INTEGER", "first_token_ns INTEGER", "last_token_ns INTEGER",
                    "arrival_ns INTEGER",
                    "cached_tokens INTEGER", "output_tokens INTEGER", "preemptions INTEGER", "replica INTEGER",
                ]
                .map { prefix + $0 }.joined(separator: ", ")
            }
            try database.execute(
                sql: """
                    CREATE TABLE run (run INTEGER PRIMARY KEY, fleet TEXT NOT NULL, baseline TEXT, model TEXT NOT NULL,
                      time_scale TEXT NOT NULL, fleet_file TEXT);
                    CREATE TABLE request (run INTEGER NOT NULL, id INTEGER NOT NULL, answer INTEGER NOT NULL,
                      tenant INTEGER NOT NULL,
                      class INTEGER NOT NULL, session INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
                      max_output_tokens INTEGER NOT NULL, first_block INTEGER NOT NULL, blocks INTEGER NOT NULL,
                      finish INTEGER NOT NULL, \(outcome("")), \(outcome("baseline_")), PRIMARY KEY (run, id)) WITHOUT ROWID;
                    CREATE INDEX request_end ON request (run, last_token_ns);
                    CREATE TABLE book (run INTEGER NOT NULL, side INTEGER NOT NULL, from_ns INTEGER NOT NULL,
                      to_ns INTEGER NOT NULL, microdollars INTEGER, chip_nj INTEGER NOT NULL, wall_nj INTEGER NOT NULL,
                      PRIMARY KEY (run, side, from_ns)) WITHOUT ROWID;
                    CREATE VIEW request_share AS
                      WITH ended AS (
                        SELECT r.run, r.id, 0 AS side, r.last_token_ns AS at, r.output_tokens AS tokens FROM request r
                          WHERE r.last_token_ns >= 0 AND r.output_tokens > 0
                        UNION ALL
                        SELECT r.run, r.id, 1, r.baseline_last_token_ns, r.baseline_output_tokens FROM request r
                          WHERE r.baseline_last_token_ns >= 0 AND r.baseline_output_tokens > 0),
                      placed AS (
                        SELECT e.*, b.from_ns, b.microdollars, b.chip_nj, b.wall_nj FROM ended e JOIN book b
                          ON b.run = e.run AND b.side = e.side AND e.at >= b.from_ns AND e.at < b.to_ns),
                      total AS (SELECT run, side, from_ns, SUM(tokens) AS tokens FROM placed GROUP BY run, side, from_ns)
                      SELECT p.run, p.id, p.side, p.microdollars * 1.0 * p.tokens / t.tokens AS microdollars,
                        p.chip_nj * 1.0 * p.tokens / t.tokens AS chip_nj, p.wall_nj * 1.0 * p.tokens / t.tokens AS wall_nj
                      FROM placed p JOIN total t ON t.run = p.run AND t.side = p.side AND t.from_ns = p.from_ns;
                    """)
        }
        return migrator
    }

    // MARK: Writing

    public func begin(_ run: LedgerRun) throws {
        try database.write { database in
            try database.execute(
                sql: "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    Int64(bitPattern: run.run), run.fleet, run.baseline, run.model, run.timeScale, run.fleetFile,
                ])
        }
    }

    /// Stores records in one transaction. A record that is already there is stored again without harm, which is what
    /// happens when a run ended between the commit and the release of the journal's slots.
    public func store(_ records: [LedgerRecord], windows: [LedgerWindow] = []) throws {
        guard !records.isEmpty || !windows.isEmpty else { return }
        try database.write { database in
            for side in [LedgerRecord.Side.fleet, .baseline] {
                let prefix = side == .fleet ? "" : "baseline_"
                let columns = [
                    "status", "scheduled_ns", "first_token_ns", "last_token_ns", "arrival_ns", "cached_tokens",
                    "output_tokens",
                    "preemptions", "replica",
                ].map { prefix + $0 }
                let statement = try database.cachedStatement(
                    sql: """
                        INSERT INTO request (run, id, answer, tenant, class, session, prompt_tokens, max_output_tokens, first_block, blocks,
                          finish, \(columns.joined(separator: ", ")))
                        VALUES (\(Self.marks(20)))
                        ON CONFLICT (run, id) DO UPDATE SET \(columns.map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
                        """)
                for record in records where record.side == side {
                    try statement.execute(arguments: Self.arguments(record))
                }
            }
            for window in windows {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO book VALUES (?, ?, ?, ?, ?, ?, ?)",
                    arguments: [
                        Int64(bitPattern: window.run), Int64(window.side.rawValue), window.fromNanoseconds,
                        window.toNanoseconds,
                        window.microDollars, window.chipNanojoules, window.wallNanojoules,
                    ])
            }
        }
    }

    private static func arguments(_ record: LedgerRecord) -> StatementArguments {
        let completion = record.completion
        return [
            Int64(bitPattern: record.run), Int64(bitPattern: completion.requestID), Int64(bitPattern: record.answer),
            Int64(completion.tenant),
            Int64(completion.priorityClass), Int64(bitPattern: completion.session), Int64(completion.promptTokens),
            Int64(record.maxOutputTokens), Int64(bitPattern: record.firstBlockHash), Int64(record.blockCount),
            Int64(record.finish.rawValue), Int64(completion.status.rawValue), completion.scheduledNanoseconds,
            completion.firstTokenNanoseconds, completion.lastTokenNanoseconds, completion.arrivalNanoseconds,
            Int64(completion.cachedPromptTokens), Int64(completion.outputTokens), Int64(completion.preemptions),
            Int64(completion.replica),
        ]
    }

    private static func marks(_ count: Int) -> String { Array(repeating: "?", count: count).joined(separator: ", ") }

    /// Forgets requests that ended before a Unix time in nanoseconds, the oldest run's first and at most so many, so that
    /// records can be stored in between. Returns how many went; ask again until it is 0.
    ///
    /// A request's modelled end is as many nanoseconds after its run's start as the time scale says; where that is "max",
    /// a run's requests are as old as the next run. Runs and books without requests go too, except the last run's.
    @discardableResult
    public func forget(endedBefore nanoseconds: UInt64, atMost limit: Int = 10_000) throws -> Int {
        try database.write { database in
            let runs = try Row.fetchAll(
                database, sql: "SELECT run, time_scale, LEAD(run) OVER (ORDER BY run) AS next FROM run ORDER BY run")
            var count = 0
            for row in runs where count < limit {
                let (run, next, scale): (Int64, Int64?, String) = (row["run"], row["next"], row["time_scale"])
                let horizon = Int64(clamping: nanoseconds)
                let isOver = next.map { $0 < horizon } ?? false
                let reached = Double(max(0, horizon - run)) * (Double(scale) ?? 0)
                let cutoff = isOver || reached >= 0x1p63 ? Int64.max : Int64(reached)
                guard cutoff > 0 else { continue }
                try database.execute(
                    sql: """
                        DELETE FROM request WHERE run = :run AND id IN (SELECT id FROM request WHERE run = :run
                          AND (last_token_ns < :cutoff AND arrival_ns < :cutoff OR :over AND last_token_ns IS NULL)
                          LIMIT :limit)
                        """,
                    arguments: ["run": run, "cutoff": cutoff, "over": isOver, "limit": limit - count])
                count += database.changesCount
                try database.execute(
                    sql: "DELETE FROM book WHERE run = ? AND to_ns < ?", arguments: [run, cutoff])
                if next != nil {
                    try database.execute(
                        sql: "DELETE FROM run WHERE run = ? AND NOT EXISTS (SELECT 1 FROM request WHERE run = ?)",
                        arguments: [run, run])
                }
            }
            return count
        }
    }

    // MARK: Reading

    /// Requests that the database has, of one run or of all.
    public func requestCount(run: UInt64? = nil) throws -> Int {
        try database.read { database in
            if let run {
                return try Int.fetchOne(
                    database, sql: "SELECT COUNT(*) FROM request WHERE run = ?", arguments: [Int64(bitPattern: run)])
                    ?? 0
            }
            return try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM request") ?? 0
        }
    }

    /// One line about each run, the oldest first.
    public func runs() throws -> [(run: LedgerRun, requests: Int)] {
        try database.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT run.*, (SELECT COUNT(*) FROM request WHERE request.run = run.run) AS requests FROM run ORDER BY run
                    """
            ).map { row in
                let number: Int64 = row["run"]
                return (
                    LedgerRun(
                        run: UInt64(bitPattern: number), fleet: row["fleet"], baseline: row["baseline"],
                        model: row["model"],
                        timeScale: row["time_scale"], fleetFile: row["fleet_file"]), row["requests"]
                )
            }
        }
    }

    /// Requests of a run that got at least one token on the fleet, in the order of arrival.
    public func arrivals(run: UInt64) throws -> [LedgerArrival] {
        try database.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT arrival_ns, prompt_tokens, output_tokens FROM request
                    WHERE run = ? AND output_tokens > 0 ORDER BY arrival_ns, id
                    """, arguments: [Int64(bitPattern: run)]
            ).map { row in
                LedgerArrival(
                    arrivalNanoseconds: row["arrival_ns"], promptTokens: row["prompt_tokens"],
                    outputTokens: row["output_tokens"])
            }
        }
    }

    /// Mean TTFT and TPOT of a run's finished requests on the fleet, in seconds; nil when none finished.
    public func meanLatencies(run: UInt64) throws -> (ttftSeconds: Double?, tpotSeconds: Double?) {
        try database.read { database in
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT AVG(first_token_ns - arrival_ns) AS ttft,
                      AVG(CASE WHEN output_tokens > 1 THEN (last_token_ns - first_token_ns) * 1.0 / (output_tokens - 1) END) AS tpot
                    FROM request WHERE run = ? AND status = 0
                    """, arguments: [Int64(bitPattern: run)])
            let ttft: Double? = row?["ttft"]
            let tpot: Double? = row?["tpot"]
            return (ttft.map { $0 * 1e-9 }, tpot.map { $0 * 1e-9 })
        }
    }

    /// Hands out the rows of a run in the order of arrival, as columns and values of text; what CSV exports.
    public func export(run: UInt64?, _ body: (_ columns: [String], _ values: [String]) throws -> Void) throws {
        try database.read { database in
            let filter = run == nil ? "" : "WHERE r.run = ?"
            let cursor = try Row.fetchCursor(
                database,
                sql: """
                    SELECT r.*, f.microdollars AS microdollars, f.wall_nj AS wall_nj, b.microdollars AS baseline_microdollars,
                      b.wall_nj AS baseline_wall_nj FROM request r
                      LEFT JOIN request_share f ON f.run = r.run AND f.id = r.id AND f.side = 0
                      LEFT JOIN request_share b ON b.run = r.run AND b.id = r.id AND b.side = 1
                      \(filter) ORDER BY r.run, r.arrival_ns, r.id
                    """, arguments: run.map { [Int64(bitPattern: $0)] } ?? [])
            while let row = try cursor.next() {
                try body(
                    Array(row.columnNames),
                    row.databaseValues.map { $0.isNull ? "" : String.fromDatabaseValue($0) ?? "\($0)" })
            }
        }
    }
}
