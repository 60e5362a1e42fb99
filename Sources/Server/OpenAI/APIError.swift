//===----------------------------------------------------------------------===//
// Errors in OpenAI's shape.
//===----------------------------------------------------------------------===//

import NIOCore

/// An answer other than success: `{"error": {"message", "type", "param", "code"}}` with its HTTP status.
struct APIError: Error, Equatable {
    var status: Int
    var message: String
    /// OpenAI's class of error, such as `invalid_request_error`.
    var type: String
    /// The field of the request that is at fault.
    var parameter: String?
    /// Machine-readable reason, such as `context_length_exceeded`.
    var code: String?
    /// Seconds after which a retry makes sense, for the `Retry-After` header.
    var retryAfterSeconds: Int?
    /// Methods that the route has, for the `Allow` header.
    var allowedMethods: String?

    init(
        status: Int, message: String, type: String = "invalid_request_error", parameter: String? = nil,
        code: String? = nil,
        retryAfterSeconds: Int? = nil
    ) {
        self.status = status
        self.message = message
        self.type = type
        self.parameter = parameter
        self.code = code
        self.retryAfterSeconds = retryAfterSeconds
    }

    static func invalid(_ message: String, parameter: String? = nil, code: String? = nil) -> APIError {
        APIError(status: 400, message: message, parameter: parameter, code: code)
    }

    static func malformed(_ error: JSONError) -> APIError {
        APIError(
            status: 400, message: "The body is not valid JSON: \(error.message) (byte \(error.offset)).",
            code: "invalid_json")
    }

    static func unknownModel(_ name: String, known: [String]) -> APIError {
        let list = known.map { "`\($0)`" }.joined(separator: ", ")
        return APIError(
            status: 404, message: "The model `\(name)` does not exist. This server models \(list).", parameter: "model",
            code: "model_not_found"
        )
    }

    static func contextExceeded(promptTokens: Int32, outputTokens: Int32?, limit: Int32) -> APIError {
        let asked =
            outputTokens.map { "\(promptTokens) tokens of prompt and \($0) of output" }
            ?? "\(promptTokens) tokens of prompt"
        return invalid(
            "This model's maximum context length is \(limit) tokens, but the request needs \(asked).",
            parameter: outputTokens == nil ? "prompt" : "max_tokens", code: "context_length_exceeded"
        )
    }

    static func methodNotAllowed(_ path: String, use allowed: String) -> APIError {
        var error = APIError(
            status: 405, message: "Use \(allowed.prefix { $0 != "," }) for \(path).", code: "method_not_allowed")
        error.allowedMethods = allowed
        return error
    }

    static func bodyTooLarge(limit: Int) -> APIError {
        APIError(status: 413, message: "The body exceeds the limit of \(limit) bytes.", code: "request_too_large")
    }

    /// A limit or a full queue of the yard turned the request away.
    static func overloaded(reason: String, retryAfterSeconds: Int) -> APIError {
        APIError(
            status: 429,
            message: "The modelled fleet takes no more at the moment (\(reason)). Retry after \(retryAfterSeconds) s.",
            type: "rate_limit_error", code: reason, retryAfterSeconds: retryAfterSeconds
        )
    }

    static let draining = APIError(
        status: 503, message: "The server is stopping and takes no new requests.", type: "server_error",
        code: "draining",
        retryAfterSeconds: 1
    )

    /// Header fields that go with it: what HTTP wants with these statuses.
    var headerFields: [(String, String)] {
        var fields: [(String, String)] = []
        if let retryAfterSeconds { fields.append(("Retry-After", String(retryAfterSeconds))) }
        if let allowedMethods { fields.append(("Allow", allowedMethods)) }
        if status == 401 { fields.append(("WWW-Authenticate", "Bearer")) }
        return fields
    }

    /// The JSON body.
    func write(to buffer: inout ByteBuffer) {
        buffer.writeStaticString(#"{"error":{"message":"#)
        buffer.writeJSONString(message)
        buffer.writeStaticString(#","type":"#)
        buffer.writeJSONString(type)
        buffer.writeStaticString(#","param":"#)
        buffer.writeJSONString(parameter)
        buffer.writeStaticString(#","code":"#)
        buffer.writeJSONString(code)
        buffer.writeStaticString("}}\n")
    }
}
