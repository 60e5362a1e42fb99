//===----------------------------------------------------------------------===//
// One request on its way: what its answer has said so far.
//===----------------------------------------------------------------------===//

import Workload

/// Follows the answer to one request, piece by piece, and ends with a status. Times are given from outside.
struct StreamExchange: HTTPResponseSink {
    /// Largest body that is collected when it is not a stream of events (a plain answer or an error).
    private static let largestBody = 32 << 20

    var record: RequestRecord
    let streams: Bool
    /// Chunks after which the client cuts the stream; .max for never.
    let cancelAfterChunks: Int32
    /// Time of the bytes being fed.
    var now: Int64 = 0
    private(set) var isFinished = false
    /// Whether the connection can be used again.
    private(set) var keepsConnection = false
    private(set) var retryAfterSeconds: Int?
    /// What was wrong, for people.
    private(set) var failure: String?
    private let shared: SharedScratch
    private(set) var newOutputEvents = 0
    private(set) var sawFirstToken = false

    private var head: ResponseHead?
    private var events = EventStreamParser()
    private var body: [UInt8] = []
    private var usage: Usage?
    private var usageIsMalformed = false
    private var sawFinal = false
    private var sawDone = false
    private var lastEvent: Int64 = -1

    init(record: RequestRecord, streams: Bool, cancelAfterChunks: Int32, shared: SharedScratch) {
        self.record = record
        self.streams = streams
        self.cancelAfterChunks = cancelAfterChunks
        self.shared = shared
    }

    /// Whether anything of a response has come.
    var hasBegun: Bool { head != nil }

    /// Forgets the gaps of the feed before.
    mutating func beginFeed(at time: Int64) {
        // Time never runs backwards for a request, whatever clock its bytes were stamped by.
        now = max(time, record.lastToken, record.dispatched)
        shared.gaps.removeAll(keepingCapacity: true)
        newOutputEvents = 0
        sawFirstToken = false
    }

    mutating func head(_ head: ResponseHead) {
        self.head = head
        record.httpStatus = UInt16(clamping: head.status)
        retryAfterSeconds = head.retryAfterSeconds
    }

    mutating func body(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let head else { return false }
        if head.status == 200, head.isEventStream {
            var parser = events
            events = EventStreamParser()
            let fits = parser.feed(bytes) { event($0) }
            events = parser
            if !fits { fail(.garbage, "a line of the event stream is longer than 4 MiB") }
        } else {
            body.append(contentsOf: bytes)
            if body.count > StreamExchange.largestBody { fail(.garbage, "an answer of more than 32 MiB") }
        }
        return !isFinished
    }

    mutating func end() {
        guard let head, !isFinished else { return }
        keepsConnection = head.keepsAlive
        guard head.status == 200 else { return fail(.httpError, "HTTP \(head.status): \(bodyExcerpt)") }
        if head.isEventStream {
            guard sawDone || sawFinal else {
                return fail(.truncated, "the stream ended without finish_reason and [DONE]")
            }
            finish(at: lastEvent)
        } else {
            wholeAnswer()
        }
    }

    /// One event of the stream.
    private mutating func event(_ payload: UnsafeBufferPointer<UInt8>) {
        guard !isFinished else { return }
        if payload.first == UInt8(ascii: "[") {
            if payload.spells("[DONE]") {
                sawDone = true
            } else {
                fail(.garbage, "an event that is neither JSON nor [DONE]: \(excerpt(payload))")
            }
            return
        }
        if shared.template.matches(payload) {
            lastEvent = now
            return output()
        }
        let event: CompletionEvent
        do throws(JSONFault) {
            event = try CompletionEvent(parsing: payload)
        } catch {
            return fail(.garbage, "an event that is not JSON (expected \(error.expected)): \(excerpt(payload))")
        }
        if event.isError { return fail(.streamError, "an error in the stream: \(excerpt(payload))") }
        lastEvent = now
        note(event)
        if let text = event.text { shared.template.learn(payload, text: text) }
        if event.hasOutput { output() }
    }

    private mutating func note(_ event: CompletionEvent) {
        if event.isFinal { sawFinal = true }
        if let usage = event.usage { self.usage = usage }
        if event.hasMalformedUsage { usageIsMalformed = true }
    }

    private mutating func output() {
        record.chunks += 1
        newOutputEvents += 1
        if record.firstToken < 0 {
            record.firstToken = now
            sawFirstToken = true
        } else {
            let gap = now - record.lastToken
            shared.gaps.append(gap)
            record.largestGap = max(record.largestGap, gap)
        }
        record.lastToken = now
        if record.chunks >= cancelAfterChunks { fail(.cancelled, "cut by the client") }
    }

    /// The end of an answer that was not streamed.
    private mutating func wholeAnswer() {
        let event: CompletionEvent
        do throws(JSONFault) {
            event = try body.withUnsafeBufferPointer { (bytes) throws(JSONFault) in try CompletionEvent(parsing: bytes)
            }
        } catch {
            return fail(.garbage, "an answer that is not JSON (expected \(error.expected)): \(bodyExcerpt)")
        }
        if event.isError { return fail(.streamError, "an error with status 200: \(bodyExcerpt)") }
        if streams { return fail(.notStreamed, "a whole answer where a stream was asked for: \(bodyExcerpt)") }
        note(event)
        if event.hasOutput { record.chunks = 1 }
        finish(at: now)
    }

    /// The answer is complete; what remains is whether its counts can be right.
    private mutating func finish(at time: Int64) {
        record.ended = time >= 0 ? time : now
        guard record.chunks > 0 else { return fail(.empty, "a complete answer without output") }
        if usageIsMalformed { return fail(.wrongUsage, "a usage whose counts are not whole numbers") }
        if let usage {
            record.hasUsage = true
            record.promptTokens = usage.promptTokens
            record.cachedTokens = usage.cachedTokens
            record.outputTokens = usage.completionTokens
            if let reason = implausible(usage) { return fail(.wrongUsage, reason) }
        } else {
            record.promptTokens = record.askedPromptTokens
            record.outputTokens = record.chunks
        }
        record.status = .completed
        isFinished = true
    }

    private func implausible(_ usage: Usage) -> String? {
        if usage.completionTokens < record.chunks && streams {
            return "usage says \(usage.completionTokens) output tokens, but \(record.chunks) chunks had output"
        }
        if usage.completionTokens < 1 { return "usage says 0 output tokens for an answer with output" }
        if usage.completionTokens > record.askedOutputTokens {
            return "usage says \(usage.completionTokens) output tokens, but max_tokens was \(record.askedOutputTokens)"
        }
        if usage.promptTokens < 1 { return "usage says 0 prompt tokens" }
        if usage.cachedTokens > usage.promptTokens { return "usage says more cached tokens than prompt tokens" }
        return nil
    }

    /// Ends the request with `status`.
    mutating func fail(_ status: RequestStatus, _ reason: String) {
        guard !isFinished else { return }
        record.status = status
        if record.ended < 0 { record.ended = now }
        failure = reason
        isFinished = true
        if status != .httpError && status != .wrongUsage && status != .empty { keepsConnection = false }
    }

    /// The connection is gone before the answer was complete.
    ///
    /// - Parameter reason: what the system says; nil where the server just closed it.
    mutating func connectionLost(at time: Int64, _ reason: String?) {
        now = max(now, time)
        let cause = reason.map { " (\($0))" } ?? ""
        if hasBegun {
            fail(.truncated, "the connection ended in the middle of the answer\(cause)")
        } else {
            fail(.closed, "the connection ended before an answer began\(cause)")
        }
    }

    private var bodyExcerpt: String { body.withUnsafeBufferPointer { excerpt($0) } }

    private func excerpt(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        let shown = bytes.prefix(160).map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }
        return String(decoding: shown, as: UTF8.self) + (bytes.count > 160 ? "…" : "")
    }
}
