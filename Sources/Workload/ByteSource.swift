//===----------------------------------------------------------------------===//
// Where the bytes of a trace come from: a file or memory, gzip undone on the way.
//===----------------------------------------------------------------------===//

import CZlib

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Bytes in order, a block at a time.
protocol ByteSource: AnyObject {
    /// Fills the front of `buffer`; 0 means the end. Throws when the bytes cannot be had.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(WorkloadError) -> Int
}

/// A file, read in blocks. Closed when the object goes away.
final class FileBytes: ByteSource {
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    private let name: String

    /// Opens `path` for reading.
    init(path: String) throws(WorkloadError) {
        let opened = open(path, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else {
            throw WorkloadError(place: path, "cannot be opened: \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard fstat(opened, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            close(opened)
            throw WorkloadError(place: path, "is a folder, where a file of requests was expected")
        }
        descriptor = opened
        ownsDescriptor = true
        name = path
    }

    /// Reads from a descriptor that stays open, such as 0 for standard input.
    init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
        ownsDescriptor = false
    }

    deinit { if ownsDescriptor { close(descriptor) } }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(WorkloadError) -> Int {
        while true {
            let count = systemRead(descriptor, buffer)
            if count >= 0 { return count }
            if errno != EINTR {
                throw WorkloadError(place: name, "cannot be read: \(String(cString: strerror(errno)))")
            }
        }
    }
}

private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
    read(descriptor, buffer.baseAddress, buffer.count)
}

/// Bytes that are already in memory.
final class MemoryBytes: ByteSource {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(buffer.count, bytes.count - position)
        buffer.copyBytes(from: bytes[position..<position + count])
        position += count
        return count
    }
}

/// Passes bytes through, undoing gzip when the first two are gzip's magic number (also when several gzip files are
/// concatenated).
final class MaybeGzip: ByteSource {
    private static let blockSize = 1 << 16

    private let inner: any ByteSource
    private let name: String
    private let input: UnsafeMutableRawBufferPointer
    private let stream: UnsafeMutablePointer<z_stream>
    private var inputCount = 0
    private var inputPosition = 0
    private var mode = Mode.undecided

    private enum Mode { case undecided, plain, inflating, finished }

    init(_ inner: any ByteSource, name: String) {
        self.inner = inner
        self.name = name
        input = .allocate(byteCount: MaybeGzip.blockSize, alignment: 16)
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
    }

    deinit {
        if mode == .inflating { inflateEnd(stream) }
        stream.deallocate()
        input.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(WorkloadError) -> Int {
        if mode == .undecided { try decide() }
        switch mode {
        case .plain:
            if inputPosition < inputCount {
                let count = min(buffer.count, inputCount - inputPosition)
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[inputPosition..<inputPosition + count]))
                inputPosition += count
                return count
            }
            return try inner.read(into: buffer)
        case .inflating: return try inflateBlock(into: buffer)
        case .finished, .undecided: return 0
        }
    }

    /// Reads until two bytes are there to tell gzip from plain text.
    private func decide() throws(WorkloadError) {
        while inputCount < 2 {
            let more = try inner.read(into: UnsafeMutableRawBufferPointer(rebasing: input[inputCount...]))
            if more == 0 { break }
            inputCount += more
        }
        if inputCount >= 2, input[0] == 0x1F, input[1] == 0x8B {
            guard trainyard_inflate_begin(stream) == Z_OK else {
                throw WorkloadError(place: name, "no memory to undo gzip")
            }
            mode = .inflating
        } else {
            mode = .plain
        }
    }

    private func inflateBlock(into buffer: UnsafeMutableRawBufferPointer) throws(WorkloadError) -> Int {
        guard buffer.count > 0 else { return 0 }
        stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(clamping: buffer.count)
        let room = stream.pointee.avail_out
        while stream.pointee.avail_out == room {
            if inputPosition == inputCount {
                inputCount = try inner.read(into: input)
                inputPosition = 0
                if inputCount == 0 { throw WorkloadError(place: name, "the gzip data ends in the middle") }
            }
            stream.pointee.next_in = (input.baseAddress! + inputPosition).assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_in = UInt32(inputCount - inputPosition)
            let code = inflate(stream, Z_NO_FLUSH)
            inputPosition = inputCount - Int(stream.pointee.avail_in)
            if code == Z_STREAM_END {
                if try !anotherMemberFollows() {
                    inflateEnd(stream)
                    mode = .finished
                    break
                }
            } else if code != Z_OK && code != Z_BUF_ERROR {
                let reason = stream.pointee.msg.map { String(cString: $0) } ?? "code \(code)"
                throw WorkloadError(place: name, "the gzip data is damaged: \(reason)")
            }
        }
        return Int(room - stream.pointee.avail_out)
    }

    /// After the end of one gzip file: whether another follows at once, made ready to be read if so.
    private func anotherMemberFollows() throws(WorkloadError) -> Bool {
        if inputPosition == inputCount {
            inputCount = try inner.read(into: input)
            inputPosition = 0
        }
        guard inputPosition < inputCount else { return false }
        guard input[inputPosition] == 0x1F, inflateReset(stream) == Z_OK else {
            throw WorkloadError(place: name, "bytes follow the end of the gzip data")
        }
        return true
    }
}
