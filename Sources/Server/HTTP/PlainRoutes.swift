//===----------------------------------------------------------------------===//
// Routes that are answered at once.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOHTTP1

/// A complete answer.
struct PlainAnswer {
    var status = 200
    var contentType: StaticString = "application/json"
    var body: ByteBuffer
    var extra: [(String, String)] = []
}

/// Answers everything on the serving listener that does not wait for the fleet.
protocol PlainRoutes: Sendable {
    /// Whether the generation routes are served beside them.
    var generates: Bool { get }
    /// Whether the path is served without an API key.
    func isOpen(_ path: String) -> Bool
    /// Called on the connection's event loop.
    func answer(
        method: HTTPMethod, path: String, headers: HTTPHeaders, body: ByteBuffer?, frontEnd: LoopFrontEnd,
        key: KeyRing.Entry?
    ) -> Result<PlainAnswer, APIError>
}

/// `/v1/models`, `/health`, `/ready`, `/metrics`, `/version`; `TokenRoutes` for `/tokenize` and `/detokenize`.
struct ServingRoutes: PlainRoutes {
    let generates = true
    /// Writes the metrics of the serving listener.
    let metrics: @Sendable (ExpositionFormat) -> ByteBuffer
    /// Nil when the daemon can take requests, else why not.
    let notReady: @Sendable () -> String?
    let version: String

    func isOpen(_ path: String) -> Bool { ["/health", "/ready", "/ping"].contains(path) }

    func answer(
        method: HTTPMethod, path: String, headers: HTTPHeaders, body: ByteBuffer?, frontEnd: LoopFrontEnd,
        key: KeyRing.Entry?
    ) -> Result<PlainAnswer, APIError> {
        if path == "/tokenize" || path == "/detokenize" {
            return TokenRoutes.answer(path, method: method, body: body, settings: frontEnd.settings)
        }
        guard let answer = read(path, headers: headers, frontEnd: frontEnd) else {
            return .failure(APIError(status: 404, message: "There is no route \(path).", code: "not_found"))
        }
        guard method == .GET || method == .HEAD else {
            return .failure(.methodNotAllowed(path, use: "GET, HEAD"))
        }
        return answer
    }

    private func read(_ path: String, headers: HTTPHeaders, frontEnd: LoopFrontEnd) -> Result<PlainAnswer, APIError>? {
        switch path {
        case "/health", "/ping": return .success(PlainAnswer(body: ByteBuffer(string: "{\"status\":\"alive\"}\n")))
        case "/ready":
            if frontEnd.isDraining { return .failure(.draining) }
            if let reason = notReady() {
                return .failure(
                    APIError(
                        status: 503, message: reason, type: "server_error", code: "not_ready", retryAfterSeconds: 1))
            }
            return .success(PlainAnswer(body: ByteBuffer(string: "{\"status\":\"ready\"}\n")))
        case "/version":
            var body = ByteBuffer()
            body.writeStaticString("{\"version\":")
            body.writeJSONString(version)
            body.writeStaticString("}\n")
            return .success(PlainAnswer(body: body))
        case "/metrics":
            let accept = headers.first(name: "accept")
            let format = ExpositionFormat(accept: accept)
            return .success(PlainAnswer(contentType: format.staticContentType, body: metrics(format)))
        case "/v1/models": return .success(PlainAnswer(body: Self.list(frontEnd.settings)))
        default:
            guard path.hasPrefix("/v1/models/") else { return nil }
            let name = String(path.dropFirst("/v1/models/".count)).removingPercentEncoding ?? ""
            guard let model = frontEnd.settings.model(named: name) else {
                return .failure(.unknownModel(name, known: frontEnd.settings.models.map(\.name)))
            }
            var body = ByteBuffer()
            Self.write(model, created: frontEnd.settings.startedSeconds, to: &body)
            body.writeStaticString("\n")
            return .success(PlainAnswer(body: body))
        }
    }

    private static func list(_ settings: ServingSettings) -> ByteBuffer {
        var body = ByteBuffer()
        body.writeStaticString(#"{"object":"list","data":["#)
        for (index, model) in settings.models.enumerated() {
            if index > 0 { body.writeStaticString(",") }
            write(model, created: settings.startedSeconds, to: &body)
        }
        body.writeStaticString("]}\n")
        return body
    }

    private static func write(_ model: ServedModel, created: Int64, to body: inout ByteBuffer) {
        body.writeStaticString(#"{"id":"#)
        body.writeJSONString(model.name)
        body.writeStaticString(#","object":"model","created":"#)
        body.writeDecimal(created)
        body.writeStaticString(#","owned_by":"trainyard","max_model_len":"#)
        body.writeDecimal(model.maxModelTokens)
        body.writeStaticString("}")
    }
}

extension String {
    /// The text with `%XX` turned into bytes, or nil when that is not UTF-8.
    var removingPercentEncoding: String? {
        var bytes: [UInt8] = []
        var rest = utf8.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap({ UInt8(String(UnicodeScalar($0)), radix: 16) }),
                let low = rest.next().flatMap({ UInt8(String(UnicodeScalar($0)), radix: 16) })
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
