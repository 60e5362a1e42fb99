//===----------------------------------------------------------------------===//
// One generation request and its reply, from admission to the last byte.
//===----------------------------------------------------------------------===//

import Logging
import NIOCore

/// The state of one HTTP exchange that waits for the modelled fleet. Lives on its connection's event loop.
///
/// Text is not stored: a sequence is a plan and three counters, and a chunk is written when the connection can take it.
final class Exchange {
    /// One choice of the reply, which is one request to the fleet.
    struct Sequence {
        let requestID: UInt64
        let plan: ReplyPlan
        let promptTokens: Int32
        var cachedTokens: Int32 = 0
        /// Tokens that the fleet has produced.
        var producedTokens: Int32 = 0
        /// Tokens whose chunks were written.
        var writtenTokens: Int32 = 0
        /// Bytes of text in those chunks.
        var writtenTextBytes = 0
        var hasOpened = false
        var hasClosed = false
        var hasEnded = false
    }

    /// The connection; nil once it is gone or has its answer, which breaks the cycle of the two.
    var connection: ServingHandler?
    /// The number in the answer's id.
    let number: UInt64
    let request: GenerationRequest
    let writer: any ReplyWriting
    let model: ServedModel
    let keepAlive: Bool
    let framing: BodyFraming
    let requestIDHeader: String?
    /// The trace that the client put it into.
    let trace: TraceContext?
    /// Which API key it counts against; nil on an open listener.
    let keyName: String?
    private(set) var sequences: [Sequence] = []
    private(set) var unfinished = 0
    private(set) var failure: APIError?
    /// Whether it waits in the loop's list of exchanges with something to write.
    var isDirty = false
    /// Since when the connection has not taken what is due.
    var stalledSince: NIODeadline?
    private var headWritten = false
    private(set) var isOver = false

    /// Largest piece written before looking whether the connection takes more.
    static let pieceBytes = 64 * 1024

    init(
        connection: ServingHandler, number: UInt64, request: GenerationRequest, writer: any ReplyWriting,
        model: ServedModel, keepAlive: Bool, framing: BodyFraming, requestIDHeader: String?,
        trace: TraceContext? = nil, keyName: String?
    ) {
        self.connection = connection
        self.number = number
        self.request = request
        self.writer = writer
        self.model = model
        self.keepAlive = keepAlive
        self.framing = framing
        self.requestIDHeader = requestIDHeader
        self.trace = trace
        self.keyName = keyName
    }

    /// What a log line says of it: the client's names for it, and how far it got.
    var logMetadata: Logger.Metadata {
        var metadata: Logger.Metadata = [
            "answer": "\(String(number, radix: 16))", "tokens": "\(sequences.reduce(0) { $0 + $1.writtenTokens })",
        ]
        if let requestIDHeader { metadata["request_id"] = "\(requestIDHeader)" }
        if let trace { metadata["trace_id"] = "\(trace.traceID)" }
        if let keyName { metadata["key"] = "\(keyName)" }
        if let failure { metadata["failure"] = "\(failure.code ?? failure.message)" }
        return metadata
    }

    // MARK: What the fleet says

    func append(requestID: UInt64, plan: ReplyPlan, promptTokens: Int32) {
        sequences.append(Sequence(requestID: requestID, plan: plan, promptTokens: promptTokens))
        unfinished += 1
    }

    func produced(sequence index: Int, outputTokens: Int32) {
        sequences[index].producedTokens = max(
            sequences[index].producedTokens, min(outputTokens, sequences[index].plan.outputTokens))
    }

    func finished(sequence index: Int, cachedTokens: Int32) {
        guard !sequences[index].hasEnded else { return }
        sequences[index].producedTokens = sequences[index].plan.outputTokens
        sequences[index].cachedTokens = cachedTokens
        sequences[index].hasEnded = true
        unfinished -= 1
    }

    /// A sequence that will not be finished fails the whole exchange.
    func failed(sequence index: Int, error: APIError) {
        guard !sequences[index].hasEnded else { return }
        sequences[index].hasEnded = true
        unfinished -= 1
        if failure == nil { failure = error }
    }

    // MARK: What the connection gets

    var hasSomethingToWrite: Bool {
        if isOver { return false }
        if failure != nil || unfinished == 0 { return true }
        return request.stream
            && sequences.contains { $0.producedTokens > $0.writtenTokens || ($0.hasEnded && !$0.hasClosed) }
    }

    /// The next piece of the response, at most a little over `pieceBytes` for streams; sets `isOver` with the last one.
    func nextPiece(date: DateHeader, allocator: ByteBufferAllocator) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: 2048)
        if let failure {
            writeFailure(failure, date: date, to: &buffer)
            isOver = true
        } else if request.stream {
            writeStreamPiece(date: date, to: &buffer)
        } else {
            writeWhole(date: date, allocator: allocator, to: &buffer)
            isOver = true
        }
        return buffer
    }

    private func writeStreamPiece(date: DateHeader, to buffer: inout ByteBuffer) {
        if !headWritten {
            headWritten = true
            ResponseHead.write(
                status: 200, contentType: "text/event-stream; charset=utf-8", framing: framing, keepAlive: keepAlive,
                requestID: requestIDHeader, date: date, extra: traceField, to: &buffer)
        }
        let chunk = framing == .chunked ? buffer.beginChunk() : nil
        var isFull = false
        for index in sequences.indices where !isFull { isFull = writeDue(index, to: &buffer) }
        if !isFull, unfinished == 0 {
            writer.writeEnd(plans: sequences.map(\.plan), usage: usage(), to: &buffer)
            isOver = true
        }
        if let chunk { buffer.endChunk(at: chunk) }
        if isOver, framing == .chunked { buffer.writeLastChunk() }
    }

    /// Writes what is due of one sequence; true when the piece is full before all of it is written.
    private func writeDue(_ index: Int, to buffer: inout ByteBuffer) -> Bool {
        var sequence = sequences[index]
        defer { sequences[index] = sequence }
        guard sequence.producedTokens > sequence.writtenTokens || (sequence.hasEnded && !sequence.hasClosed) else {
            return false
        }
        if !sequence.hasOpened {
            sequence.hasOpened = true
            writer.writeOpening(choice: index, plan: sequence.plan, usage: usage(), to: &buffer)
        }
        let counts = request.includesContinuousUsage
        var running = counts ? usage() : Usage(promptTokens: 0, cachedTokens: 0, completionTokens: 0)
        while sequence.writtenTokens < sequence.producedTokens {
            if buffer.readableBytes >= Self.pieceBytes { return true }
            running.completionTokens += 1
            sequence.writtenTextBytes += writer.writeToken(
                sequence.writtenTokens, choice: index, plan: sequence.plan, textBytes: sequence.writtenTextBytes,
                usage: running,
                to: &buffer)
            sequence.writtenTokens += 1
        }
        if sequence.hasEnded, !sequence.hasClosed {
            sequence.hasClosed = true
            writer.writeClosing(choice: index, plan: sequence.plan, usage: running, to: &buffer)
        }
        return false
    }

    private func writeWhole(date: DateHeader, allocator: ByteBufferAllocator, to buffer: inout ByteBuffer) {
        let tokens = sequences.reduce(0) { $0 + Int($1.plan.outputTokens) }
        var body = allocator.buffer(capacity: 512 + tokens * 6)
        writer.writeBody(plans: sequences.map(\.plan), usage: usage(), to: &body)
        ResponseHead.write(
            status: 200, contentType: "application/json", framing: .length(body.readableBytes), keepAlive: keepAlive,
            requestID: requestIDHeader, date: date, extra: traceField, to: &buffer)
        buffer.writeBuffer(&body)
    }

    private var traceField: [(String, String)] { trace.map { [("traceparent", $0.field(span: number))] } ?? [] }

    private func writeFailure(_ error: APIError, date: DateHeader, to buffer: inout ByteBuffer) {
        guard headWritten else {
            error.writeResponse(keepAlive: keepAlive, requestID: requestIDHeader, date: date, to: &buffer)
            return
        }
        let chunk = framing == .chunked ? buffer.beginChunk() : nil
        writer.writeFailure(error, to: &buffer)
        if let chunk {
            buffer.endChunk(at: chunk)
            buffer.writeLastChunk()
        }
    }

    /// Prompt tokens count once however many choices they have.
    private func usage() -> Usage {
        var usage = Usage(promptTokens: 0, cachedTokens: 0, completionTokens: 0)
        for (index, sequence) in sequences.enumerated() {
            if index % request.choices == 0 {
                usage.promptTokens += Int(sequence.promptTokens)
                usage.cachedTokens += Int(sequence.cachedTokens)
            }
            usage.completionTokens += request.stream ? Int(sequence.writtenTokens) : Int(sequence.producedTokens)
        }
        return usage
    }
}

extension APIError {
    /// The whole response: head and body.
    func writeResponse(
        keepAlive: Bool, requestID: String?, date: DateHeader, isHead: Bool = false, to buffer: inout ByteBuffer
    ) {
        var body = ByteBuffer()
        write(to: &body)
        ResponseHead.write(
            status: status, contentType: "application/json", framing: .length(body.readableBytes), keepAlive: keepAlive,
            requestID: requestID, date: date, extra: headerFields, to: &buffer)
        if !isHead { buffer.writeBuffer(&body) }
    }
}
