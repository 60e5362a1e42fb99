//===----------------------------------------------------------------------===//
// Random requests written out in each format, so that what a reader returns can be compared with what was written.
//===----------------------------------------------------------------------===//

import CZlib
import Workload

/// A request as it was written, and as it must be read.
struct WrittenRequest: Equatable {
    var arrivalNanoseconds: Int64
    var promptTokens: Int32
    var outputTokens: Int32
    var hashIDs: [Int] = []
}

/// Formats whose files are one row a request.
enum RowFormat: String, CaseIterable {
    case azure, burstgpt, vidur, mooncake, tracev2

    /// Random rows in order of time, in units that the format can express exactly.
    func randomRows(_ count: Int, _ random: inout RandomStream) -> [WrittenRequest] {
        let tick: Int64 =
            switch self {
            case .azure: 100
            case .vidur, .burstgpt: 1
            case .mooncake: 1_000_000
            case .tracev2: 1_000
            }
        var time: Int64 = 0
        return (0..<count).map { index in
            if index > 0 { time += Int64(random.below(3)) * Int64(random.below(2_000_000_000)) / tick * tick }
            let prompt = Int32(1 + random.below(random.below(4) == 0 ? 100_000 : 2_000))
            let blocks = self == .mooncake ? Int((prompt + 511) / 512) : 0
            return WrittenRequest(
                arrivalNanoseconds: time, promptTokens: prompt, outputTokens: Int32(1 + random.below(900)),
                hashIDs: (0..<blocks).map { _ in Int(random.below(1_000)) }
            )
        }
    }

    /// The file's text. `crlf` ends lines as Windows does; the last line has no end.
    func text(_ rows: [WrittenRequest], crlf: Bool) -> String {
        let end = crlf ? "\r\n" : "\n"
        var lines: [String] = []
        switch self {
        case .azure:
            lines.append("TIMESTAMP,ContextTokens,GeneratedTokens")
            lines += rows.map { "\(RowFormat.timestamp($0.arrivalNanoseconds)),\($0.promptTokens),\($0.outputTokens)" }
        case .burstgpt:
            lines.append("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type")
            lines += rows.map {
                "\(RowFormat.seconds($0.arrivalNanoseconds)),ChatGPT,\($0.promptTokens),\($0.outputTokens),9,API log"
            }
        case .vidur:
            lines.append("id,arrived_at,num_prefill_tokens,num_decode_tokens")
            lines += rows.enumerated().map {
                "\($0.offset),\(RowFormat.seconds($0.element.arrivalNanoseconds)),\($0.element.promptTokens),\($0.element.outputTokens)"
            }
        case .mooncake:
            lines += rows.map {
                "{\"timestamp\": \($0.arrivalNanoseconds / 1_000_000), \"input_length\": \($0.promptTokens), "
                    + "\"output_length\": \($0.outputTokens), \"hash_ids\": \($0.hashIDs)}"
            }
        case .tracev2:
            lines.append("request_id,session_id,input_tokens,output_tokens,arrival_time_us,status")
            lines += rows.enumerated().map {
                "\($0.offset),,\($0.element.promptTokens),\($0.element.outputTokens),\($0.element.arrivalNanoseconds / 1_000),ok"
            }
        }
        return lines.joined(separator: end)
    }

    /// 2023-11-16 18:15:46 plus `offset`, with 7 fractional digits; days carry by hand.
    private static func timestamp(_ offset: Int64) -> String {
        let total = (18 * 3_600 + 15 * 60 + 46) * 1_000_000_000 + offset
        let seconds = total / 1_000_000_000
        let parts = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60].map { padded($0, 2) }
        return
            "2023-11-\(padded(16 + seconds / 86_400, 2)) \(parts.joined(separator: ":")).\(padded(total % 1_000_000_000 / 100, 7))"
    }

    private static func seconds(_ nanoseconds: Int64) -> String {
        "\(nanoseconds / 1_000_000_000).\(padded(nanoseconds % 1_000_000_000, 9))"
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// `bytes` as a gzip file.
func gzipped(_ bytes: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    precondition(trainyard_deflate_begin(&stream, 6) == Z_OK)
    var output = [UInt8](repeating: 0, count: bytes.count + bytes.count / 100 + 64)
    var input = bytes
    let produced = input.withUnsafeMutableBufferPointer { source in
        output.withUnsafeMutableBufferPointer { target in
            stream.next_in = source.baseAddress
            stream.avail_in = UInt32(source.count)
            stream.next_out = target.baseAddress
            stream.avail_out = UInt32(target.count)
            precondition(deflate(&stream, Z_FINISH) == Z_STREAM_END)
            return target.count - Int(stream.avail_out)
        }
    }
    deflateEnd(&stream)
    return Array(output.prefix(produced))
}
