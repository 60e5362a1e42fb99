//===----------------------------------------------------------------------===//
// Where results go: standard output, or a file that an option names.
//===----------------------------------------------------------------------===//

import Foundation
import Report

/// Writes results whole or says why not: a full disk or a closed pipe is an error like any other, never a crash and never
/// a success.
enum Output {
    /// Writes to standard output.
    static func write(_ text: String) throws { try write(Data(text.utf8)) }

    static func write(_ data: Data) throws {
        do { try FileHandle.standardOutput.write(contentsOf: data) } catch {
            throw CommandError("cannot write to standard output: \(reason(error))")
        }
    }

    /// Writes to the file at `path`, or to standard output where that is `-`.
    static func write(_ text: String, to path: String) throws { try write(to: path) { try $0(Data(text.utf8)) } }

    /// Writes a file, or standard output for `-`, in pieces. `body` is handed what takes a piece.
    static func write(to path: String, _ body: ((Data) throws -> Void) throws -> Void) throws {
        if path == "-" { return try body { try write($0) } }
        // Not FileManager.createFile, which puts a new file in the place of a device or a pipe.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw CommandError("cannot write \(path): \(String(cString: strerror(errno)))") }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try body { piece in
            do { try file.write(contentsOf: piece) } catch {
                throw CommandError("cannot write \(path): \(reason(error))")
            }
        }
        do { try file.close() } catch { throw CommandError("cannot write \(path): \(reason(error))") }
    }

    /// The system's own words where an error has them.
    private static func reason(_ error: any Error) -> String {
        let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        guard let cause, cause.domain == NSPOSIXErrorDomain else { return error.localizedDescription }
        return String(cString: strerror(Int32(cause.code)))
    }
}

/// Standard error.
enum Messages {
    /// Writes a line. One that cannot be written is nobody's to read.
    static func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8)) }
}

/// Input that cannot be used, or a result that cannot be written: one sentence for standard error.
struct CommandError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
