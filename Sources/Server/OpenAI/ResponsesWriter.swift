//===----------------------------------------------------------------------===//
// Replies of /v1/responses: one object, or the events that build it.
//===----------------------------------------------------------------------===//

import NIOCore

/// Writes a response of OpenAI's Responses API. It has one output item: a message, or a call of a function.
///
/// Every event carries a running number. The numbers follow from the token's index, so the writer keeps no state: four
/// events open the item (three for a call), one comes for each token, and four close it (three).
struct ResponsesWriter: ReplyWriting {
    private let number: UInt64
    private let createdSeconds: Int64
    private let request: GenerationRequest
    /// `"item_id":"…","output_index":0`.
    private let itemHead: [UInt8]
    private let isCall: Bool

    init(request: GenerationRequest, number: UInt64, createdSeconds: Int64) {
        self.request = request
        self.number = number
        self.createdSeconds = createdSeconds
        if case .toolCall = request.reply { isCall = true } else { isCall = false }
        var buffer = ByteBuffer()
        buffer.writeStaticString(#""item_id":""#)
        buffer.writeStaticString(isCall ? "fc_" : "msg_")
        buffer.writeHexadecimal(number)
        buffer.writeStaticString(#"","output_index":0"#)
        itemHead = Array(buffer.readableBytesView)
    }

    private var openingEvents: Int { isCall ? 3 : 4 }

    // MARK: Streams

    func writeOpening(choice: Int, plan: ReplyPlan, usage: Usage, to buffer: inout ByteBuffer) {
        writeResponseEvent("response.created", sequence: 0, status: "in_progress", nil, nil, to: &buffer)
        writeResponseEvent("response.in_progress", sequence: 1, status: "in_progress", nil, nil, to: &buffer)
        event("response.output_item.added", sequence: 2, to: &buffer) { buffer in
            buffer.writeStaticString(#""output_index":0,"item":"#)
            writeItem(nil, plan.form, status: "in_progress", to: &buffer)
        }
        guard !isCall else { return }
        event("response.content_part.added", sequence: 3, to: &buffer) { buffer in
            buffer.writeBytes(itemHead)
            buffer.writeStaticString(#","content_index":0,"part":"#)
            writePart(nil, to: &buffer)
        }
    }

    func writeToken(
        _ index: Int32, choice: Int, plan: ReplyPlan, textBytes: Int, usage: Usage, to buffer: inout ByteBuffer
    ) -> Int {
        var written = 0
        let name: StaticString = isCall ? "response.function_call_arguments.delta" : "response.output_text.delta"
        event(name, sequence: openingEvents + Int(index), to: &buffer) { buffer in
            buffer.writeBytes(itemHead)
            buffer.writeStaticString(isCall ? #","delta":""# : #","content_index":0,"logprobs":[],"delta":""#)
            written = plan.writeText(index, textBytes: textBytes, isStructured: plan.form != .text, to: &buffer)
            buffer.writeStaticString("\"")
        }
        return written
    }

    func writeClosing(choice: Int, plan: ReplyPlan, usage: Usage, to buffer: inout ByteBuffer) {
        var sequence = openingEvents + Int(plan.outputTokens)
        if isCall {
            event("response.function_call_arguments.done", sequence: sequence, to: &buffer) { buffer in
                buffer.writeBytes(itemHead)
                writeFunctionName(plan.form, to: &buffer)
                buffer.writeStaticString(#","arguments":""#)
                plan.writeText(isStructured: true, to: &buffer)
                buffer.writeStaticString("\"")
            }
        } else {
            event("response.output_text.done", sequence: sequence, to: &buffer) { buffer in
                buffer.writeBytes(itemHead)
                buffer.writeStaticString(#","content_index":0,"logprobs":[],"text":""#)
                plan.writeText(isStructured: plan.form != .text, to: &buffer)
                buffer.writeStaticString("\"")
            }
            sequence += 1
            event("response.content_part.done", sequence: sequence, to: &buffer) { buffer in
                buffer.writeBytes(itemHead)
                buffer.writeStaticString(#","content_index":0,"part":"#)
                writePart(plan, to: &buffer)
            }
        }
        event("response.output_item.done", sequence: sequence + 1, to: &buffer) { buffer in
            buffer.writeStaticString(#""output_index":0,"item":"#)
            writeItem(plan, plan.form, status: status(plan), to: &buffer)
        }
    }

    func writeEnd(plans: [ReplyPlan], usage: Usage, to buffer: inout ByteBuffer) {
        guard let plan = plans.first else { return }
        let sequence = openingEvents + Int(plan.outputTokens) + (isCall ? 2 : 3)
        let name: StaticString = plan.finish == .length ? "response.incomplete" : "response.completed"
        writeResponseEvent(name, sequence: sequence, status: status(plan), plan, usage, to: &buffer)
    }

    func writeFailure(_ error: APIError, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("event: error\ndata: {\"type\":\"error\",\"code\":")
        buffer.writeJSONString(error.code)
        buffer.writeStaticString(#","message":"#)
        buffer.writeJSONString(error.message)
        buffer.writeStaticString(#","param":"#)
        buffer.writeJSONString(error.parameter)
        buffer.writeStaticString("}\n\n")
    }

    // MARK: Whole bodies

    func writeBody(plans: [ReplyPlan], usage: Usage, to buffer: inout ByteBuffer) {
        guard let plan = plans.first else { return }
        writeResponse(status: status(plan), plan, usage, to: &buffer)
        buffer.writeStaticString("\n")
    }

    // MARK: Parts

    /// A reply that stopped at its limit of tokens is incomplete, as OpenAI has it.
    private func status(_ plan: ReplyPlan) -> StaticString { plan.finish == .length ? "incomplete" : "completed" }

    private func event(
        _ name: StaticString, sequence: Int, to buffer: inout ByteBuffer, _ members: (inout ByteBuffer) -> Void
    ) {
        buffer.writeStaticString("event: ")
        buffer.writeStaticString(name)
        buffer.writeStaticString("\ndata: {\"type\":\"")
        buffer.writeStaticString(name)
        buffer.writeStaticString(#"","sequence_number":"#)
        buffer.writeDecimal(sequence)
        buffer.writeStaticString(",")
        members(&buffer)
        buffer.writeStaticString("}\n\n")
    }

    private func writeResponseEvent(
        _ name: StaticString, sequence: Int, status: StaticString, _ plan: ReplyPlan?, _ usage: Usage?,
        to buffer: inout ByteBuffer
    ) {
        event(name, sequence: sequence, to: &buffer) { buffer in
            buffer.writeStaticString(#""response":"#)
            writeResponse(status: status, plan, usage, to: &buffer)
        }
    }

    private func writeResponse(
        status: StaticString, _ plan: ReplyPlan?, _ usage: Usage?, to buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString(#"{"id":"resp_"#)
        buffer.writeHexadecimal(number)
        buffer.writeStaticString(#"","object":"response","created_at":"#)
        buffer.writeDecimal(createdSeconds)
        buffer.writeStaticString(#","status":""#)
        buffer.writeStaticString(status)
        buffer.writeStaticString(#"","error":null,"incomplete_details":"#)
        let isCut = plan?.finish == .length
        buffer.writeStaticString(isCut ? #"{"reason":"max_output_tokens"}"# : "null")
        buffer.writeStaticString(#","instructions":null,"max_output_tokens":"#)
        if let limit = request.maxTokens { buffer.writeDecimal(limit) } else { buffer.writeStaticString("null") }
        buffer.writeStaticString(#","model":"#)
        buffer.writeJSONString(request.model)
        buffer.writeStaticString(#","output":["#)
        if let plan { writeItem(plan, plan.form, status: status, to: &buffer) }
        buffer.writeStaticString(
            #"],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"#)
        buffer.writeStaticString(
            #""store":false,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"#)
        buffer.writeStaticString(#""top_p":1.0,"truncation":"disabled","usage":"#)
        writeUsage(usage, to: &buffer)
        buffer.writeStaticString(#","user":"#)
        buffer.writeJSONString(request.user)
        buffer.writeStaticString(#","metadata":{}}"#)
    }

    private func writeUsage(_ usage: Usage?, to buffer: inout ByteBuffer) {
        guard let usage else {
            buffer.writeStaticString("null")
            return
        }
        buffer.writeStaticString(#"{"input_tokens":"#)
        buffer.writeDecimal(usage.promptTokens)
        buffer.writeStaticString(#","input_tokens_details":{"cached_tokens":"#)
        buffer.writeDecimal(usage.cachedTokens)
        buffer.writeStaticString(#"},"output_tokens":"#)
        buffer.writeDecimal(usage.completionTokens)
        buffer.writeStaticString(#","output_tokens_details":{"reasoning_tokens":0},"total_tokens":"#)
        buffer.writeDecimal(usage.promptTokens + usage.completionTokens)
        buffer.writeStaticString("}")
    }

    /// The output item; without a plan it is empty so far.
    private func writeItem(_ plan: ReplyPlan?, _ form: ReplyForm, status: StaticString, to buffer: inout ByteBuffer) {
        buffer.writeStaticString(isCall ? #"{"id":"fc_"# : #"{"id":"msg_"#)
        buffer.writeHexadecimal(number)
        if isCall {
            buffer.writeStaticString(#"","type":"function_call","call_id":"call_"#)
            buffer.writeHexadecimal(number)
            buffer.writeStaticString("\"")
            writeFunctionName(form, to: &buffer)
            buffer.writeStaticString(#","arguments":""#)
            plan?.writeText(isStructured: true, to: &buffer)
            buffer.writeStaticString("\"")
        } else {
            buffer.writeStaticString(#"","type":"message","role":"assistant","content":["#)
            if let plan { writePart(plan, to: &buffer) }
            buffer.writeStaticString("]")
        }
        buffer.writeStaticString(#","status":""#)
        buffer.writeStaticString(status)
        buffer.writeStaticString("\"}")
    }

    private func writeFunctionName(_ form: ReplyForm, to buffer: inout ByteBuffer) {
        guard case .toolCall(let name) = form else { return }
        buffer.writeStaticString(#","name":"#)
        buffer.writeJSONString(name)
    }

    private func writePart(_ plan: ReplyPlan?, to buffer: inout ByteBuffer) {
        buffer.writeStaticString(#"{"type":"output_text","text":""#)
        plan?.writeText(isStructured: plan?.form != .text, to: &buffer)
        buffer.writeStaticString(#"","annotations":[],"logprobs":[]}"#)
    }
}
