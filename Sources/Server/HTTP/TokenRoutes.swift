//===----------------------------------------------------------------------===//
// /tokenize and /detokenize, as vLLM answers them.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOHTTP1

/// Text to tokens and back.
///
/// With a tokenizer configured the ids are the model's. Without one `/tokenize` answers the estimated count, and no ids:
/// there are none.
enum TokenRoutes {
    static func answer(
        _ path: String, method: HTTPMethod, body: ByteBuffer?, settings: ServingSettings
    ) -> Result<PlainAnswer, APIError> {
        guard method == .POST else {
            return .failure(.methodNotAllowed(path, use: "POST"))
        }
        guard let body else { return .failure(.invalid("The request has no body.")) }
        do throws(APIError) {
            let answer = try body.withUnsafeReadableBytes { bytes throws(APIError) in
                path == "/tokenize" ? try tokenize(bytes, settings) : try detokenize(bytes, settings)
            }
            return .success(PlainAnswer(body: answer))
        } catch {
            return .failure(error)
        }
    }

    /// What either body says, each member where it belongs.
    private struct Body {
        var model: String?
        var prompt: String?
        var hasMessages = false
        var tokens: [Int32]?
        var addsSpecialTokens = true
        var wantsSpellings = false

        init(_ bytes: UnsafeRawBufferPointer) throws(APIError) {
            var reader = JSONReader(bytes)
            do {
                try reader.validateUTF8()
                try reader.enterObject()
                while let key = try reader.nextKey() { try read(reader.text(of: key), from: &reader) }
                try reader.expectEnd()
            } catch let error as JSONError {
                throw APIError.malformed(error)
            } catch let error as APIError {
                throw error
            } catch {
                throw APIError.invalid("The body could not be read: \(error).")
            }
        }

        private mutating func read(_ name: String, from reader: inout JSONReader) throws {
            if try reader.takeNull() { return }
            let kind = try reader.peekKind()
            switch (name, kind) {
            case ("model", .string): model = reader.text(of: try reader.readString())
            case ("prompt", .string): prompt = reader.text(of: try reader.readString())
            case ("add_special_tokens", .boolean): addsSpecialTokens = try reader.readBoolean()
            case ("return_token_strs", .boolean): wantsSpellings = try reader.readBoolean()
            case ("tokens", .array):
                var numbers: [Int32] = []
                try reader.enterArray()
                while try reader.nextElement() {
                    guard try reader.peekKind() == .number, let number = try reader.readNumber().integer,
                        let token = Int32(exactly: number), token >= 0
                    else { throw APIError.invalid("`tokens` must be token ids.", parameter: "tokens") }
                    numbers.append(token)
                }
                tokens = numbers
            case ("model", _), ("prompt", _), ("add_special_tokens", _), ("return_token_strs", _), ("tokens", _):
                throw APIError.invalid("`\(name)` has the wrong type.", parameter: name, code: "invalid_type")
            default:
                hasMessages = hasMessages || name == "messages"
                try reader.skipValue()
            }
        }
    }

    private static func tokenize(
        _ bytes: UnsafeRawBufferPointer, _ settings: ServingSettings
    ) throws(APIError) -> ByteBuffer {
        let body = try Body(bytes)
        let model = try served(body.model, settings)
        var count: Int
        var tokens: [Int32]?
        if let tokenizer = settings.counting.tokenizer, let prompt = body.prompt {
            let special = body.addsSpecialTokens
            let ids = (special ? tokenizer.opening : []) + tokenizer.encode(prompt) + (special ? tokenizer.closing : [])
            count = ids.count
            tokens = ids
        } else {
            var counting = settings.counting
            counting.tokensPerBlock = 0
            let request = try GenerationRequest(
                endpoint: body.hasMessages ? .chat : .completion, body: bytes, counting: counting)
            count = request.prompts.reduce(0) { $0 + Int($1.tokens) }
        }
        var answer = ByteBuffer()
        answer.writeStaticString(#"{"count":"#)
        answer.writeDecimal(count)
        answer.writeStaticString(#","max_model_len":"#)
        answer.writeDecimal(model.maxModelTokens)
        if let tokens {
            answer.writeStaticString(#","tokens":"#)
            answer.writeList(tokens) { $0.writeDecimal($1) }
            if body.wantsSpellings {
                answer.writeStaticString(#","token_strs":"#)
                answer.writeList(tokens) { $0.writeJSONString(settings.counting.tokenizer?.spelling(of: $1)) }
            }
        }
        answer.writeStaticString("}\n")
        return answer
    }

    private static func detokenize(
        _ bytes: UnsafeRawBufferPointer, _ settings: ServingSettings
    ) throws(APIError) -> ByteBuffer {
        let body = try Body(bytes)
        _ = try served(body.model, settings)
        guard let tokens = body.tokens else { throw .invalid("`tokens` is missing.", parameter: "tokens") }
        guard let tokenizer = settings.counting.tokenizer else {
            throw .invalid(
                "Without a tokenizer there is no text for token ids: configure `tokenizer: PATH` to a tokenizer.json.",
                code: "no_tokenizer")
        }
        var answer = ByteBuffer()
        answer.writeStaticString(#"{"prompt":"#)
        answer.writeJSONString(tokenizer.decode(tokens))
        answer.writeStaticString("}\n")
        return answer
    }

    /// vLLM lets these two routes be called without a model's name.
    private static func served(_ name: String?, _ settings: ServingSettings) throws(APIError) -> ServedModel {
        guard let model = name.map({ settings.model(named: $0) }) ?? settings.models[0] else {
            throw .unknownModel(name ?? "", known: settings.models.map(\.name))
        }
        return model
    }
}

extension ByteBuffer {
    /// A JSON array.
    fileprivate mutating func writeList<Element>(
        _ elements: [Element], _ write: (inout ByteBuffer, Element) -> Void
    ) {
        writeStaticString("[")
        for (index, element) in elements.enumerated() {
            if index > 0 { writeStaticString(",") }
            write(&self, element)
        }
        writeStaticString("]")
    }
}
