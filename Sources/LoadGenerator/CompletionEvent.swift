//===----------------------------------------------------------------------===//
// What one JSON object of an OpenAI response says.
//===----------------------------------------------------------------------===//

import Workload

/// Token counts as the server states them.
struct Usage: Equatable {
    var promptTokens: Int32 = 0
    var completionTokens: Int32 = 0
    var cachedTokens: Int32 = 0
}

/// A streamed chunk, or a whole response that was not streamed.
struct CompletionEvent {
    /// It carries output: text, reasoning, or a tool call.
    var hasOutput = false
    var hasChoices = false
    /// It has a `finish_reason`.
    var isFinal = false
    var isError = false
    var usage: Usage?
    /// `usage` is there but its counts are not whole numbers from 0.
    var hasMalformedUsage = false
    /// Where the bytes of its output are when that is one string and nothing else: between the quotes.
    private(set) var text: Range<Int>?
    private var outputs = 0

    init(parsing json: Field) throws(JSONFault) {
        var scanner = JSONScanner(json)
        try scanner.object { (key, value) throws(JSONFault) in
            if key.spells("choices") {
                hasChoices = true
                try value.array { (choice) throws(JSONFault) in try self.choice(&choice) }
            } else if key.spells("usage"), value.isObject() {
                var counts = value
                usage = try? CompletionEvent.usage(&counts)
                hasMalformedUsage = usage == nil
                try value.skip()
            } else if key.spells("error") {
                if value.isObject() || value.isString() { isError = true }
                try value.skip()
            } else {
                try value.skip()
            }
        }
        try scanner.end()
        if outputs != 1 || isFinal || usage != nil || isError || hasMalformedUsage { text = nil }
    }

    private mutating func choice(_ scanner: inout JSONScanner) throws(JSONFault) {
        var output = false
        var final = false
        try scanner.object { (key, value) throws(JSONFault) in
            if key.spells("delta") || key.spells("message"), value.isObject() {
                try value.object { (part, content) throws(JSONFault) in
                    if try isOutput(part, &content) { output = true }
                }
            } else if key.spells("text"), value.isString() {
                if try isText(&value) { output = true }
            } else if key.spells("finish_reason"), value.isString() {
                _ = try value.string()
                final = true
            } else {
                try value.skip()
            }
        }
        if output { hasOutput = true }
        if final { isFinal = true }
    }

    /// Takes one part of a message: whether it is output that is not empty.
    private mutating func isOutput(_ part: Field, _ value: inout JSONScanner) throws(JSONFault) -> Bool {
        if part.spells("content") || part.spells("reasoning_content") || part.spells("reasoning")
            || part.spells("refusal"),
            value.isString()
        {
            return try isText(&value)
        }
        if part.spells("tool_calls"), value.isArray() {
            var calls = 0
            try value.array { (call) throws(JSONFault) in
                calls += 1
                try call.skip()
            }
            outputs += calls
            return calls > 0
        }
        try value.skip()
        return false
    }

    /// Takes a string of the output: whether it is not empty.
    private mutating func isText(_ value: inout JSONScanner) throws(JSONFault) -> Bool {
        let string = try value.string()
        guard !string.isEmpty else { return false }
        outputs += 1
        // The scanner stands behind the closing quote.
        text = outputs == 1 ? (value.offset - 1 - string.count)..<(value.offset - 1) : nil
        return true
    }

    private static func usage(_ scanner: inout JSONScanner) throws(JSONFault) -> Usage {
        var usage = Usage()
        try scanner.object { (key, value) throws(JSONFault) in
            if key.spells("prompt_tokens") {
                usage.promptTokens = Int32(try value.integer(upTo: Int64(Int32.max), "prompt_tokens"))
            } else if key.spells("completion_tokens") {
                usage.completionTokens = Int32(try value.integer(upTo: Int64(Int32.max), "completion_tokens"))
            } else if key.spells("prompt_tokens_details"), value.isObject() {
                try value.object { (detail, count) throws(JSONFault) in
                    if detail.spells("cached_tokens"), !count.isObject(), !count.isString(), !count.isArray() {
                        // Some servers say null here.
                        if let number = try? count.integer(upTo: Int64(Int32.max), "cached_tokens") {
                            usage.cachedTokens = Int32(number)
                        } else {
                            try count.skip()
                        }
                    } else {
                        try count.skip()
                    }
                }
            } else {
                try value.skip()
            }
        }
        return usage
    }
}
