//===----------------------------------------------------------------------===//
// Where the shards of a sweep meet: one SQLite file.
//===----------------------------------------------------------------------===//

import GRDB

/// The runs of any number of sweeps, one row each, in table `sweep_run` with the columns of the CSV.
///
/// Many processes may write at a time, each in short transactions, as jobs of an array do. A run that is stored again
/// replaces its row, so that a job may be repeated.
public final class SweepStore: Sendable {
    private let database: DatabaseQueue
    private let path: String

    public init(path: String) throws {
        self.path = path
        var configuration = Configuration()
        // Another job's transaction takes milliseconds.
        configuration.busyMode = .timeout(60)
        let columns = SweepFigures.columnNames.map { "\"\($0)\"" }.joined(separator: ", ")
        do {
            database = try DatabaseQueue(path: path, configuration: configuration)
            try database.write {
                try $0.execute(
                    sql: """
                        CREATE TABLE IF NOT EXISTS sweep_run (sweep TEXT NOT NULL, run INTEGER NOT NULL,
                          parameters TEXT NOT NULL, problem TEXT, \(columns), PRIMARY KEY (sweep, run)) WITHOUT ROWID
                        """)
            }
        } catch let error as DatabaseError {
            throw LedgerError("\(path): \(error.message ?? "SQLite error \(error.resultCode.rawValue)")")
        }
    }

    /// Stores rows in one transaction.
    public func store(_ rows: [SweepRow]) throws {
        let names = ["sweep", "run", "parameters", "problem"] + SweepFigures.columnNames
        let sql = """
            INSERT OR REPLACE INTO sweep_run (\(names.map { "\"\($0)\"" }.joined(separator: ", ")))
            VALUES (\(names.map { _ in "?" }.joined(separator: ", ")))
            """
        do {
            try database.write { database in
                for row in rows {
                    let parameters = row.parameters.map { "\($0.name)=\($0.value)" }.joined(separator: "\n")
                    var values: [(any DatabaseValueConvertible)?] = [row.sweep, row.run, parameters, row.problem]
                    values += row.figures?.columns.map(\.cell.stored) ?? SweepFigures.columnNames.map { _ in nil }
                    try database.execute(sql: sql, arguments: StatementArguments(values))
                }
            }
        } catch let error as DatabaseError {
            throw LedgerError("\(path): \(error.message ?? "SQLite error \(error.resultCode.rawValue)")")
        }
    }

    /// Numbers and digests of the runs that are there, by number.
    public func digests(ofSweep sweep: String) throws -> [(run: Int, digest: String?)] {
        try database.read { database in
            try Row.fetchAll(
                database, sql: "SELECT run, digest FROM sweep_run WHERE sweep = ? ORDER BY run", arguments: [sweep]
            )
            .map { ($0["run"], $0["digest"]) }
        }
    }
}

extension SweepFigures.Cell {
    fileprivate var stored: (any DatabaseValueConvertible)? {
        switch self {
        case .text(let text): text
        case .integer(let value): value
        case .number(let value): value
        case .unknown: nil
        }
    }
}
