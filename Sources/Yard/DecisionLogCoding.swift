//===----------------------------------------------------------------------===//
// A decision log as bytes.
//===----------------------------------------------------------------------===//

import Workload

/// Bytes that are no decision log, or one that this program cannot read.
public struct DecisionLogError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
}

/// One stretch of the log of one cell is written as
///
///     "TYDECLOG"  version  size of a record  size of a request  records  requests  hashes     (8 bytes each)
///     records…  requests…  hashes…                                                            (as they lie in memory)
///
/// little-endian, without gaps; a file is any number of stretches one after the other. The sizes guard against a
/// program whose records are laid out differently.
extension DecisionLog {
    private static let magic: UInt64 = 0x474F_4C43_4544_5954
    private static let version: UInt64 = 1
    private static let headerBytes = 7 * 8

    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        let header = [
            Self.magic, Self.version, UInt64(MemoryLayout<DecisionRecord>.stride), UInt64(MemoryLayout<Request>.stride),
            UInt64(records.count), UInt64(requests.count), UInt64(blockHashes.count),
        ]
        header.withUnsafeBytes { bytes.append(contentsOf: $0) }
        records.withUnsafeBytes { bytes.append(contentsOf: $0) }
        requests.withUnsafeBytes { bytes.append(contentsOf: $0) }
        blockHashes.withUnsafeBytes { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// Reads all stretches, and joins those of one cell in their order.
    /// - Returns: one log for each cell, in the order of cell numbers.
    public static func decode(_ bytes: [UInt8]) throws(DecisionLogError) -> [DecisionLog] {
        var cells: [UInt16: DecisionLog] = [:]
        var offset = 0
        while offset < bytes.count {
            let stretch = try decodeOne(bytes, at: &offset)
            guard let cell = stretch.records.first?.cell else { continue }
            guard stretch.records.allSatisfy({ $0.cell == cell }) else {
                throw DecisionLogError(
                    description: "byte \(offset): a stretch of the log is of one cell, not of several")
            }
            cells[cell, default: DecisionLog()].append(stretch)
        }
        return cells.sorted { $0.key < $1.key }.map(\.value)
    }

    mutating func append(_ other: DecisionLog) {
        records += other.records
        requests += other.requests
        blockHashes += other.blockHashes
    }

    private static func decodeOne(_ bytes: [UInt8], at offset: inout Int) throws(DecisionLogError) -> DecisionLog {
        guard bytes.count - offset >= headerBytes else {
            throw DecisionLogError(description: "byte \(offset): a stretch's header of \(headerBytes) bytes is cut off")
        }
        let header = read(UInt64.self, 7, bytes, &offset)
        guard header[0] == magic else {
            throw DecisionLogError(description: "byte \(offset - headerBytes): no decision log begins here")
        }
        guard header[1] == version, header[2] == UInt64(MemoryLayout<DecisionRecord>.stride),
            header[3] == UInt64(MemoryLayout<Request>.stride)
        else {
            throw DecisionLogError(description: "the decision log was written by another version of this program")
        }
        let sizes = [
            header[4].multipliedReportingOverflow(by: header[2]), header[5].multipliedReportingOverflow(by: header[3]),
        ]
        let left = UInt64(bytes.count - offset)
        guard sizes.allSatisfy({ !$0.overflow && $0.partialValue <= left }), header[6] <= left / 8,
            sizes[0].partialValue + sizes[1].partialValue + header[6] * 8 <= left
        else {
            throw DecisionLogError(description: "byte \(offset): the decision log is cut off")
        }
        var log = DecisionLog()
        let kinds = UInt8(DecisionRecord.Kind.allCases.count)
        let stride = MemoryLayout<DecisionRecord>.stride
        for record in 0..<Int(header[4]) where bytes[offset + record * stride] >= kinds {
            throw DecisionLogError(
                description: "byte \(offset + record * stride): no kind of record is \(bytes[offset + record * stride])"
            )
        }
        log.records = read(DecisionRecord.self, Int(header[4]), bytes, &offset)
        log.requests = read(Request.self, Int(header[5]), bytes, &offset)
        log.blockHashes = read(UInt64.self, Int(header[6]), bytes, &offset)
        for index in log.requests.indices {
            let request = log.requests[index]
            guard request.promptTokens > 0, request.outputTokens > 0, request.prefix.blockHashCount >= 0 else {
                throw DecisionLogError(description: "request \(request.id) of the decision log has impossible lengths")
            }
            log.requests[index].prefix.blockHashes = nil
        }
        let submitted = log.records.reduce(0) { $0 + ($1.kind == .submitted ? 1 : 0) }
        let hashes = log.requests.reduce(0) { $0 + Int($1.prefix.blockHashCount) }
        guard submitted == log.requests.count, hashes == log.blockHashes.count else {
            throw DecisionLogError(
                description:
                    "\(submitted) submissions, \(log.requests.count) requests and \(log.blockHashes.count) of \(hashes) "
                    + "hashes do not match"
            )
        }
        return log
    }

    private static func read<Element: BitwiseCopyable>(
        _: Element.Type, _ count: Int, _ bytes: [UInt8], _ offset: inout Int
    ) -> [Element] {
        defer { offset += count * MemoryLayout<Element>.stride }
        return bytes.withUnsafeBytes { raw in
            [Element](unsafeUninitializedCapacity: count) { buffer, filled in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: raw[offset..<offset + count * MemoryLayout<Element>.stride]))
                filled = count
            }
        }
    }
}
