//===----------------------------------------------------------------------===//
// The admin listener: report, metrics, fleet, dashboard. On Hummingbird.
//===----------------------------------------------------------------------===//

import Fleet
import Foundation
import HTTPTypes
import Hummingbird
import Ledger
import Logging
import NIOCore
import Report
import ServiceLifecycle

/// Serves everything that operators look at.
struct AdminRoutes: Sendable {
    let view: MetricsView
    let control: FleetControl
    let sampler: Sampler
    let adminKeyDigest: [UInt8]?
    let seed: UInt64
    let notReady: @Sendable () -> String?

    func application(
        address: BindAddress, group: any EventLoopGroup, logger: Logger, onPort: @escaping @Sendable (Int?) -> Void
    ) -> some ApplicationProtocol {
        let router = Router()
        router.add(middleware: ModelledHeader())
        router.get("/metrics") { request, _ in metrics(request) }
        router.head("/metrics") { request, _ in metrics(request) }
        for method in [HTTPRequest.Method.get, .head] {
            router.on("/dcgm/metrics", method: method) { request, _ in
                devices(request, view.dcgm)
            }
            router.on("/neuron-monitor/metrics", method: method) { request, _ in
                devices(request, view.neuronMonitor)
            }
        }
        router.get("/health") { _, _ in Self.json("{\"status\":\"alive\"}\n") }
        router.get("/ready") { _, _ in
            guard let reason = notReady() else { return Self.json("{\"status\":\"ready\"}\n") }
            return Self.error(
                APIError(
                    status: 503, message: reason, type: "server_error", code: "not_ready", retryAfterSeconds: 1))
        }
        router.get("/v1/report") { _, _ in try await report() }
        router.get("/v1/fleet") { request, _ in
            if let refusal = refusal(of: request, changes: false) { return refusal }
            return Self.json(String(buffer: control.document()))
        }
        router.post("/v1/fleet/nodes/:node/:order") { request, context in
            try await order(
                request, node: context.parameters.get("node") ?? "", order: context.parameters.get("order") ?? "")
        }
        router.get("/v1/history") { _, _ in Self.json(DashboardState.history(sampler.points)) }
        router.get("/v1/events") { _, _ in events() }
        router.get("/") { _, _ in
            Response(
                status: .ok,
                headers: [
                    .contentType: "text/html; charset=utf-8",
                    .contentSecurityPolicy:
                        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
                ], body: ResponseBody(byteBuffer: ByteBuffer(staticString: DashboardPage.html)))
        }
        return Application(
            router: router, configuration: ApplicationConfiguration(address: address, serverName: "trainyard"),
            onServerRunning: { channel in onPort(channel.localAddress?.port) }, eventLoopGroupProvider: .shared(group),
            logger: logger)
    }

    // MARK: Answers

    private func metrics(_ request: Request) -> Response {
        let format = ExpositionFormat(accept: request.headers[.accept])
        return Response(
            status: .ok, headers: [.contentType: format.contentType],
            body: ResponseBody(byteBuffer: view.trainyard(format)))
    }

    private func devices(_ request: Request, _ page: (ExpositionFormat) -> ByteBuffer) -> Response {
        let format = ExpositionFormat(accept: request.headers[.accept])
        return Response(
            status: .ok, headers: [.contentType: format.contentType],
            body: ResponseBody(byteBuffer: page(format)))
    }

    /// Fleet beside baseline; a fleet alone when there is no baseline.
    private func report() async throws -> Response {
        let effort = ProcessEffort.now(startedSeconds: view.startedSeconds)
        let fleet = await view.yards[0].report(workload: "live", seed: seed, effort: effort)
        if view.yards.count > 1 {
            let baseline = await view.yards[1].report(workload: "live", seed: seed, effort: effort)
            return Self.json(try ReportJSON.text(ComparisonReport(fleet: fleet, baseline: baseline, sized: false)))
        }
        return Self.json(try ReportJSON.text(fleet.report))
    }

    /// The answer to a request without the admin key, nil for one that has it. While no key is configured everyone who
    /// reaches the listener may read, and nobody may change.
    private func refusal(of request: Request, changes: Bool) -> Response? {
        guard let adminKeyDigest else {
            guard changes else { return nil }
            return Self.error(
                APIError(
                    status: 403,
                    message: "No admin key is configured (`admin_key_sha256`), so nothing can be changed here.",
                    code: "admin_key_not_configured"))
        }
        var ring = KeyRing()
        ring.add(digest: adminKeyDigest, tenant: 0, name: "admin")
        guard let key = KeyRing.bearer(request.headers[.authorization]), ring.entry(forKey: key) != nil else {
            return Self.error(
                APIError(
                    status: 401, message: "The admin key is needed: `Authorization: Bearer KEY`.",
                    code: "invalid_api_key"))
        }
        return nil
    }

    private func order(_ request: Request, node: String, order: String) async throws -> Response {
        if let refusal = refusal(of: request, changes: true) { return refusal }
        switch await control.order(order, node: node) {
        case .success(let replicas):
            var body = ByteBuffer()
            body.writeStaticString("{\"node\":")
            body.writeJSONString(node)
            body.writeStaticString(",\"order\":")
            body.writeJSONString(order)
            body.writeString(",\"replicas\":\(replicas)}\n")
            return Self.json(String(buffer: body))
        case .failure(let error): return Self.error(error)
        }
    }

    /// The dashboard's state once a second, as server-sent events, for as long as the browser listens.
    private func events() -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache"],
            body: ResponseBody { writer in
                while !Task.isCancelled, !Task.isShuttingDownGracefully {
                    let line = DashboardState(view: view, sampler: sampler).line()
                    try await writer.write(ByteBuffer(string: "data: \(line)\n\n"))
                    try await Task.sleep(for: .seconds(1))
                }
                try await writer.finish(nil)
            })
    }

    private static func json(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    private static func error(_ error: APIError) -> Response {
        var body = ByteBuffer()
        error.write(to: &body)
        var headers: HTTPFields = [.contentType: "application/json"]
        for (name, value) in error.headerFields { if let name = HTTPField.Name(name) { headers[name] = value } }
        return Response(
            status: HTTPResponse.Status(code: error.status), headers: headers, body: ResponseBody(byteBuffer: body))
    }
}

/// Marks every answer as a model's.
private struct ModelledHeader<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        if let name = HTTPField.Name("x-trainyard-modelled") { response.headers[name] = "true" }
        return response
    }
}
