//===----------------------------------------------------------------------===//
// Mooncake's traces: JSON lines with chained prefix blocks.
//===----------------------------------------------------------------------===//

/// `{"timestamp": ms, "input_length": n, "output_length": n, "hash_ids": [...]}` a line, sorted by time.
///
/// Each hash id stands for 512 tokens and is chained (the same id means the same prompt up to the end of that block);
/// the last one of a prompt may stand for a partial block. Ids are global to the file. A line without `hash_ids` shares
/// nothing.
final class MooncakeParser: RowParser {
    static let tokensPerHash: Int32 = 512

    private let lines: LineReader
    private let hashes = BlockHashes()
    private var ids: [UInt64] = []

    init(_ lines: LineReader) { self.lines = lines }

    func parseRow() throws(RowFault) -> Request? {
        guard let line = try lines.nextRow() else { return nil }
        var arrival: Int64?
        var prompt: Int64?
        var output: Int64?
        ids.removeAll(keepingCapacity: true)
        do throws(JSONFault) {
            var scanner = JSONScanner(line)
            try scanner.object { (key, value) throws(JSONFault) in
                if key.spells("hash_ids") {
                    try value.array { (element) throws(JSONFault) in
                        let id = UInt64(try element.integer(upTo: .max, "a hash id"))
                        ids.append(BlockHashes.hash(id: id, space: 0))
                    }
                } else if key.spells("timestamp") {
                    arrival = try value.decimal(scale: 6, "timestamp in milliseconds")
                } else if key.spells("input_length") {
                    prompt = try value.integer(upTo: RowFault.largestTokenCount, "input_length")
                } else if key.spells("output_length") {
                    output = try value.integer(upTo: RowFault.largestTokenCount, "output_length")
                } else {
                    try value.skip()
                }
            }
            try scanner.end()
        } catch {
            throw lines.malformed(error, in: line)
        }
        guard let arrival, let prompt, let output else {
            let missing = arrival == nil ? "timestamp" : prompt == nil ? "input_length" : "output_length"
            throw .malformed(
                lines.error("has no '\(missing)', where timestamp, input_length, output_length were expected"))
        }
        guard abs(arrival) < .max / 4 else { throw .malformed(lines.error("timestamp is out of range")) }
        let blocks = (prompt + Int64(MooncakeParser.tokensPerHash) - 1) / Int64(MooncakeParser.tokensPerHash)
        guard ids.count <= blocks else {
            throw .malformed(
                lines.error(
                    "has \(ids.count) hash_ids, where at most \(blocks) were expected for \(prompt) tokens in blocks of 512"
                )
            )
        }
        var request = Request(
            id: 0, arrivalNanoseconds: arrival, promptTokens: Int32(prompt), outputTokens: Int32(output)
        )
        request.prefix.blockHashes = ids.withUnsafeBufferPointer { hashes.store($0) }
        request.prefix.blockHashCount = Int32(ids.count)
        request.prefix.tokensPerHash = ids.isEmpty ? 0 : MooncakeParser.tokensPerHash
        return request
    }
}

/// Spreads requests that bear the same time evenly over the `spread` nanoseconds that follow it.
///
/// Mooncake's conversation trace stamps arrivals in batches of about 3 s; played as they are, such batches are bursts
/// that the service never saw.
final class SpreadingParser<Inner: RowParser>: RowParser {
    private let inner: Inner
    private let spread: Int64
    private var batch: [Request] = []
    private var handedOut = 0
    private var ahead: Request?

    init(_ inner: Inner, spreadNanoseconds: Int64) {
        self.inner = inner
        spread = spreadNanoseconds
    }

    func parseRow() throws(RowFault) -> Request? {
        if handedOut == batch.count { try readBatch() }
        guard handedOut < batch.count else { return nil }
        defer { handedOut += 1 }
        var request = batch[handedOut]
        request.arrivalNanoseconds += spread / Int64(batch.count) * Int64(handedOut)
        return request
    }

    private func readBatch() throws(RowFault) {
        batch.removeAll(keepingCapacity: true)
        handedOut = 0
        if let first = ahead {
            batch.append(first)
            ahead = nil
        }
        while let request = try inner.parseRow() {
            if let time = batch.first?.arrivalNanoseconds, time != request.arrivalNanoseconds {
                ahead = request
                return
            }
            batch.append(request)
        }
    }
}
