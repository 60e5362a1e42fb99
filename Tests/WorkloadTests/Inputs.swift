//===----------------------------------------------------------------------===//
// What the tests of this target share: workloads over text in memory, and reference data beside the checkout.
//===----------------------------------------------------------------------===//

import Foundation
import Workload

/// The workload `description`, reading `text` instead of its file.
func workload(_ description: String, over text: String, policy: ReadingPolicy = .strict) throws -> Workload {
    try Workload(WorkloadDescription(parsing: description), bytes: Array(text.utf8), policy: policy)
}

/// All requests of `workload`, at most `limit`.
func requests(_ workload: Workload, limit: Int = .max) throws -> [Request] {
    let source = try workload.makeSource()
    var requests: [Request] = []
    while requests.count < limit, let request = try source.next() { requests.append(request) }
    return requests
}

/// The error that `body` throws, or nil.
func workloadError(_ body: () throws -> Void) -> WorkloadError? {
    do {
        try body()
        return nil
    } catch {
        return error as? WorkloadError
    }
}

/// `../shared/PATH` beside the checkout, or nil (with a line on standard error) where it is not there.
func referenceData(_ path: String) -> String? {
    let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let file = root.appendingPathComponent("../shared/\(path)").standardizedFileURL.path
    if FileManager.default.fileExists(atPath: file) { return file }
    FileHandle.standardError.write(Data("skipped: \(file) is not there\n".utf8))
    return nil
}
