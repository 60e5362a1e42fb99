//===----------------------------------------------------------------------===//
// A port that is nothing but a device exporter.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOHTTP1

/// `/metrics` and `/health`, as `dcgm-exporter` and `neuron-monitor-prometheus` serve them.
struct ExporterRoutes: PlainRoutes {
    let generates = false
    let page: @Sendable (ExpositionFormat) -> ByteBuffer

    func isOpen(_ path: String) -> Bool { true }

    func answer(
        method: HTTPMethod, path: String, headers: HTTPHeaders, body: ByteBuffer?, frontEnd: LoopFrontEnd,
        key: KeyRing.Entry?
    ) -> Result<PlainAnswer, APIError> {
        guard path == "/metrics" || path == "/health" else {
            return .failure(APIError(status: 404, message: "There is no route \(path).", code: "not_found"))
        }
        guard method == .GET || method == .HEAD else {
            return .failure(.methodNotAllowed(path, use: "GET, HEAD"))
        }
        if path == "/health" {
            return .success(PlainAnswer(contentType: "text/plain; charset=utf-8", body: ByteBuffer(string: "OK\n")))
        }
        let format = ExpositionFormat(accept: headers.first(name: "accept"))
        return .success(PlainAnswer(contentType: format.staticContentType, body: page(format)))
    }
}
