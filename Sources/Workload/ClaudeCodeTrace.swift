//===----------------------------------------------------------------------===//
// Agent sessions of kv-cache-tester, in its original form and as deltas.
//===----------------------------------------------------------------------===//

/// One call of a session, before the session is given a start.
private struct Call {
    /// Since the session's start.
    var nanoseconds: Int64
    var promptTokens: Int32
    var outputTokens: Int32
    /// Where its ids begin among the session's, and how many there are.
    var idStart: Int
    var idCount: Int
}

/// Reads sessions, one JSON object a line: `{"id", "block_size", "tool_tokens", "system_tokens", "requests": [...]}`.
///
/// A request has `t` (seconds since the session's start), `model`, `in`, `out`, and the ids of its full blocks of
/// `block_size` tokens: in the original form as `hash_ids`; in the delta form as `keep` (ids in common with the request
/// before, in the same list) and `new` (runs `[first id, count]`). A request of type `subagent` has no tokens but a
/// list of requests of its own, with times relative to its own `t`.
///
/// Ids mean something within their session only. What sessions share is the head of tool definitions and system prompt:
/// the blocks that lie wholly within the first `tool_tokens + system_tokens` tokens get hashes common to all sessions
/// with the same model and the same two counts.
final class ClaudeCodeReader {
    private let lines: LineReader
    private let policy: ReadingPolicy
    private let hashes = BlockHashes()
    private(set) var reading = ReadingCounts()
    private var sessionsRead: UInt64 = 0
    /// Ids of the session being read, one list after the other.
    private var ids: [UInt64] = []
    private var calls: [Call] = []

    init(_ lines: LineReader, policy: ReadingPolicy) {
        self.lines = lines
        self.policy = policy
    }

    /// The calls of the next session in order of time, arrivals counted from the session's start; nil at the end.
    func nextSession() throws(WorkloadError) -> [Request]? {
        while true {
            do throws(RowFault) {
                guard let line = try lines.nextRow() else { return nil }
                let session = try parse(line)
                if !session.isEmpty { return session }
            } catch {
                try reading.skipOrThrow(error, policy)
            }
        }
    }

    private func parse(_ line: Field) throws(RowFault) -> [Request] {
        ids.removeAll(keepingCapacity: true)
        calls.removeAll(keepingCapacity: true)
        var blockSize: Int64 = 64
        var headTokens: Int64 = 0
        var model: UInt64 = 0
        var hasRequests = false
        do throws(JSONFault) {
            var scanner = JSONScanner(line)
            try scanner.object { (key, value) throws(JSONFault) in
                if key.spells("block_size") {
                    blockSize = try value.integer(upTo: 1 << 20, "block_size")
                } else if key.spells("tool_tokens") || key.spells("system_tokens") {
                    headTokens += try value.integer(upTo: 1 << 28, "a number of head tokens")
                } else if key.spells("models") {
                    var first = true
                    try value.array { (element) throws(JSONFault) in
                        let name = try element.string()
                        if first { model = ClaudeCodeReader.fingerprint(name) }
                        first = false
                    }
                } else if key.spells("requests") {
                    hasRequests = true
                    try requests(&value, start: 0, depth: 0)
                } else {
                    try value.skip()
                }
            }
            try scanner.end()
        } catch {
            throw lines.malformed(error, in: line)
        }
        guard hasRequests else {
            throw .malformed(lines.error("has no 'requests', where a session of kv-cache-tester was expected"))
        }
        guard blockSize > 0 else { throw .malformed(lines.error("block_size is 0")) }
        return session(blockSize: blockSize, headTokens: headTokens, model: model)
    }

    /// Reads one list of requests; a sub-agent's list is read in place, its times shifted to the session's.
    private func requests(_ scanner: inout JSONScanner, start: Int64, depth: Int) throws(JSONFault) {
        guard depth < 4 else { throw scanner.fault("at most 4 levels of sub-agents") }
        var previousStart = ids.count
        var previousCount = 0
        try scanner.array { (element) throws(JSONFault) in
            var call = Call(nanoseconds: start, promptTokens: 0, outputTokens: 0, idStart: ids.count, idCount: 0)
            var isMarker = false
            var hasTokens = false
            var keep = 0
            let whole = element
            try element.object { (key, value) throws(JSONFault) in
                if key.spells("t") {
                    let time = try value.decimal(scale: 9, "t in seconds")
                    guard time >= 0, time < 1 << 58 else { throw value.fault("t from 0 to 288,000,000 s") }
                    call.nanoseconds = start + time
                } else if key.spells("in") {
                    call.promptTokens = Int32(try value.integer(upTo: RowFault.largestTokenCount, "in"))
                    hasTokens = true
                } else if key.spells("out") {
                    call.outputTokens = Int32(try value.integer(upTo: RowFault.largestTokenCount, "out"))
                } else if key.spells("hash_ids") {
                    call.idStart = ids.count
                    try value.array { (id) throws(JSONFault) in
                        ids.append(UInt64(try id.integer(upTo: .max, "a hash id")))
                    }
                    call.idCount = ids.count - call.idStart
                } else if key.spells("keep") {
                    guard call.idCount == 0 else { throw value.fault("'keep' before 'new'") }
                    keep = Int(try value.integer(upTo: Int64(previousCount), "keep, of the request before"))
                } else if key.spells("new") {
                    call.idStart = ids.count
                    for index in 0..<keep { ids.append(ids[previousStart + index]) }
                    try value.array { (run) throws(JSONFault) in try appendRun(&run) }
                    call.idCount = ids.count - call.idStart
                } else if key.spells("requests") {
                    isMarker = true
                    try value.skip()
                } else {
                    try value.skip()
                }
            }
            if isMarker {
                try subagent(whole, start: call.nanoseconds, depth: depth)
                return
            }
            guard hasTokens else { throw element.fault("a request with 'in' and 'out'") }
            previousStart = call.idStart
            previousCount = call.idCount
            calls.append(call)
        }
    }

    private func subagent(_ marker: JSONScanner, start: Int64, depth: Int) throws(JSONFault) {
        var scanner = marker
        try scanner.object { (key, value) throws(JSONFault) in
            if key.spells("requests") { try requests(&value, start: start, depth: depth + 1) } else { try value.skip() }
        }
    }

    /// One run `[first id, count]`.
    private func appendRun(_ run: inout JSONScanner) throws(JSONFault) {
        var first: UInt64?
        var length: Int64?
        try run.array { (number) throws(JSONFault) in
            if first == nil {
                first = UInt64(try number.integer(upTo: .max / 2, "the first id of a run"))
            } else {
                length = try number.integer(upTo: 1 << 22, "the length of a run")
            }
        }
        guard let first, let length else { throw run.fault("a run [first id, count]") }
        for offset in 0..<UInt64(length) { ids.append(first + offset) }
    }

    private func session(blockSize: Int64, headTokens: Int64, model: UInt64) -> [Request] {
        sessionsRead += 1
        let number = sessionsRead
        let headSpace = RandomStream.mix(model ^ UInt64(headTokens)) | 1
        let headBlocks = Int(headTokens / blockSize)
        // Calls whose ids merely continue those of the call before share its memory: a growing context is stored once.
        var requests: [Request] = []
        requests.reserveCapacity(calls.count)
        var stored = StoredRun()
        for (index, call) in calls.enumerated() {
            var request = Request(
                id: UInt64(index), arrivalNanoseconds: call.nanoseconds, promptTokens: max(1, call.promptTokens),
                outputTokens: max(1, call.outputTokens)
            )
            if call.promptTokens == 0 || call.outputTokens == 0 { reading.raisedToOneToken += 1 }
            let usable = min(call.idCount, Int((Int64(request.promptTokens) + blockSize - 1) / blockSize))
            request.prefix.session = number
            if usable > 0 {
                if !stored.covers(call, usable, ids) {
                    let longest = longestContinuation(from: index)
                    let source = calls[longest]
                    let count = source.idCount
                    let place = hashes.reserve(count)
                    for block in 0..<count {
                        let id = ids[source.idStart + block]
                        let shared = block < headBlocks
                        (place + block).initialize(
                            to: shared
                                ? BlockHashes.hash(id: UInt64(block), space: headSpace)
                                : BlockHashes.hash(id: id, space: number << 1)
                        )
                    }
                    stored = StoredRun(place: UnsafePointer(place), idStart: source.idStart, count: count)
                }
                request.prefix.blockHashes = stored.place
                request.prefix.blockHashCount = Int32(usable)
                request.prefix.tokensPerHash = Int32(blockSize)
            }
            requests.append(request)
        }
        requests.sort { ($0.arrivalNanoseconds, $0.id) < ($1.arrivalNanoseconds, $1.id) }
        return requests
    }

    /// The last of the calls from `index` on whose ids each begin with all ids of the one before.
    private func longestContinuation(from index: Int) -> Int {
        var last = index
        while last + 1 < calls.count, continues(calls[last + 1], calls[last]) { last += 1 }
        return last
    }

    private func continues(_ later: Call, _ earlier: Call) -> Bool {
        guard later.idCount >= earlier.idCount else { return false }
        for offset in 0..<earlier.idCount where ids[later.idStart + offset] != ids[earlier.idStart + offset] {
            return false
        }
        return true
    }

    /// Hashes in memory, and the ids that they were made of.
    private struct StoredRun {
        var place: UnsafePointer<UInt64>?
        var idStart = 0
        var count = 0

        /// Whether the first `usable` ids of `call` are the first ones stored.
        func covers(_ call: Call, _ usable: Int, _ ids: [UInt64]) -> Bool {
            guard place != nil, usable <= count else { return false }
            for offset in 0..<usable where ids[call.idStart + offset] != ids[idStart + offset] { return false }
            return true
        }
    }

    /// FNV-1a of a name.
    private static func fingerprint(_ name: Field) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}

/// Sessions started by a clock, their calls merged in order of arrival.
///
/// Within a session the recorded times are kept; sessions begin as an arrival process (Poisson unless told). Only the
/// sessions that are under way are in memory, apart from their block hashes.
final class ClaudeCodeSource: RequestSource {
    private let reader: ClaudeCodeReader
    private var clock: ArrivalClock
    private var nextStart: Int64?
    private var nextCalls: [Request]?
    private var open: [Int: (calls: [Request], start: Int64, next: Int)] = [:]
    /// Next call of each open session; `session` of an entry is its key in `open`.
    private var heap = SessionHeap()
    private var opened = 0
    private var accepted = 0

    init(_ reader: ClaudeCodeReader, clock: ArrivalClock) throws(WorkloadError) {
        self.reader = reader
        self.clock = clock
        nextCalls = try reader.nextSession()
        // The first session starts the run.
        nextStart = 0
    }

    func next() throws(WorkloadError) -> Request? {
        while let start = nextStart, let calls = nextCalls, start <= heap.first?.time ?? .max {
            open[opened] = (calls, start, 0)
            heap.insert(
                SessionHeap.Entry(
                    time: start + calls[0].arrivalNanoseconds, session: UInt64(opened), contextTokens: 0, head: 0)
            )
            opened += 1
            nextCalls = try reader.nextSession()
            nextStart = clock.next().map(nanoseconds)
        }
        guard var entry = heap.first, var session = open[Int(entry.session)] else { return nil }
        heap.removeFirst()
        var request = session.calls[session.next]
        request.arrivalNanoseconds = entry.time
        request.id = UInt64(accepted)
        accepted += 1
        session.next += 1
        if session.next < session.calls.count {
            open[Int(entry.session)] = session
            entry.time = session.start + session.calls[session.next].arrivalNanoseconds
            heap.insert(entry)
        } else {
            open[Int(entry.session)] = nil
        }
        return request
    }

    var reading: ReadingCounts {
        var counts = reader.reading
        counts.accepted = accepted
        return counts
    }
}
