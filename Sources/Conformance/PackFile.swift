//===----------------------------------------------------------------------===//
// The files of a reference pack.
//===----------------------------------------------------------------------===//

import CZlib
import Foundation
import Glibc

/// What is wrong with a reference pack, and where.
public struct ConformanceError: Error, CustomStringConvertible, Equatable {
    public var place: String
    public var message: String
    public var description: String { "\(place): \(message)" }
}

/// A CSV file of a pack, gzip or plain, held as columns of text.
struct PackTable {
    let path: String
    private let columns: [String: Int]
    private let rows: [[Substring]]

    /// Largest file that is read, after decompression.
    private static let longest = 1 << 30

    init(path: String) throws(ConformanceError) {
        self.path = path
        // By bytes: a carriage return and a newline are one Character.
        var lines = try PackTable.bytes(path).split(separator: UInt8(ascii: "\n")).map { line in
            Substring(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
        }
        guard !lines.isEmpty else {
            throw ConformanceError(place: path, message: "is empty; a header line was expected")
        }
        var columns: [String: Int] = [:]
        for (index, name) in lines.removeFirst().split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            columns[String(name)] = index
        }
        self.columns = columns
        rows = lines.map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    }

    var count: Int { rows.count }

    /// The file with or without the ending `.gz`; the compressed one where neither is there, for the message.
    static func existing(_ path: String) -> String {
        access(path + ".gz", R_OK) != 0 && access(path, R_OK) == 0 ? path : path + ".gz"
    }

    func numbers(_ column: String) throws(ConformanceError) -> [Double] {
        guard let index = columns[column] else {
            let known = columns.keys.sorted().joined(separator: ", ")
            throw ConformanceError(place: path, message: "has no column '\(column)'; it has \(known)")
        }
        var values: [Double] = []
        values.reserveCapacity(rows.count)
        for (row, fields) in rows.enumerated() {
            guard index < fields.count, let value = Double(fields[index]), value.isFinite else {
                let found = index < fields.count ? "'\(fields[index])'" : "nothing"
                throw ConformanceError(
                    place: "\(path):\(row + 2)", message: "column '\(column)' needs a number, found \(found)")
            }
            values.append(value)
        }
        return values
    }

    func integers(_ column: String) throws(ConformanceError) -> [Int] {
        let values = try numbers(column)
        for (row, value) in values.enumerated() where value.rounded() != value || value < 0 || value > 1e9 {
            throw ConformanceError(
                place: "\(path):\(row + 2)",
                message: "column '\(column)' needs a whole number of at least 0, found \(value)")
        }
        return values.map { Int($0) }
    }

    /// zlib's file reader passes plain files through.
    private static func bytes(_ path: String) throws(ConformanceError) -> [UInt8] {
        guard let file = gzopen(path, "rb") else { throw ConformanceError(place: path, message: "cannot be opened") }
        defer { gzclose(file) }
        var bytes: [UInt8] = []
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { block.deallocate() }
        while true {
            let count = gzread(file, block.baseAddress, UInt32(block.count))
            if count == 0 { break }
            guard count > 0 else {
                throw ConformanceError(place: path, message: "cannot be read, or its gzip data is damaged")
            }
            bytes.append(contentsOf: block[0..<Int(count)])
            guard bytes.count <= longest else { throw ConformanceError(place: path, message: "is longer than 1 GiB") }
        }
        return bytes
    }
}
