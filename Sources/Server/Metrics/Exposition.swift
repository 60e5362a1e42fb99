//===----------------------------------------------------------------------===//
// Prometheus text format 0.0.4 and OpenMetrics 1.0, written as bytes.
//===----------------------------------------------------------------------===//

import Glibc
import NIOCore

/// The two text formats that a scrape can ask for.
enum ExpositionFormat: Sendable {
    case prometheus, openMetrics

    var contentType: String { staticContentType.description }

    var staticContentType: StaticString {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// What an `Accept` header prefers. Anything that does not name OpenMetrics gets the format that every scraper
    /// reads.
    init(accept: String?) {
        self = accept?.contains("application/openmetrics-text") == true ? .openMetrics : .prometheus
    }
}

enum MetricType: String, Sendable { case counter, gauge, histogram }

/// Label names and values of one series, in the order they are written.
typealias Labels = [(name: String, value: String)]

/// Writes families of metrics one after another. The caller gives each family's samples together, as both formats want.
struct Exposition {
    let format: ExpositionFormat
    private(set) var buffer: ByteBuffer
    private var family = ""
    private var type = MetricType.gauge

    init(format: ExpositionFormat, allocator: ByteBufferAllocator = ByteBufferAllocator()) {
        self.format = format
        buffer = allocator.buffer(capacity: 64 * 1024)
    }

    /// Begins a family. A counter's name ends in `_total`; OpenMetrics names the family without it.
    mutating func family(_ name: String, _ type: MetricType, help: String) {
        self.family = name
        self.type = type
        let isTotal = type == .counter && name.hasSuffix("_total")
        let title = format == .openMetrics && isTotal ? String(name.dropLast(6)) : name
        buffer.writeString("# HELP \(title) ")
        for byte in help.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): buffer.writeStaticString("\\\\")
            case 0x0A: buffer.writeStaticString("\\n")
            default: buffer.writeInteger(byte)
            }
        }
        buffer.writeString("\n# TYPE \(title) \(type.rawValue)\n")
    }

    mutating func sample(_ labels: Labels = [], _ value: Double) {
        buffer.writeString(family)
        write(labels)
        writeValue(value)
    }

    mutating func sample(_ labels: Labels = [], count value: UInt64) {
        buffer.writeString(family)
        write(labels)
        buffer.writeStaticString(" ")
        buffer.writeDecimal(unsigned: value)
        buffer.writeStaticString("\n")
    }

    /// One series of a histogram: its cumulative buckets, sum and count.
    /// - Parameter exemplars: one for each bucket that has one; only OpenMetrics shows them.
    mutating func histogram(
        _ labels: Labels = [], bounds: [Double], counts: [UInt64], sum: Double, exemplars: [Exemplar?] = []
    ) {
        precondition(counts.count == bounds.count + 1)
        var total: UInt64 = 0
        for (index, count) in counts.enumerated() {
            total += count
            buffer.writeString(family)
            buffer.writeStaticString("_bucket")
            let bound = index < bounds.count ? Self.text(bounds[index]) : "+Inf"
            write(labels + [("le", bound)])
            buffer.writeStaticString(" ")
            buffer.writeDecimal(unsigned: total)
            if format == .openMetrics, index < exemplars.count, let exemplar = exemplars[index] { write(exemplar) }
            buffer.writeStaticString("\n")
        }
        buffer.writeString(family)
        buffer.writeStaticString("_sum")
        write(labels)
        writeValue(sum)
        buffer.writeString(family)
        buffer.writeStaticString("_count")
        write(labels)
        buffer.writeStaticString(" ")
        buffer.writeDecimal(unsigned: total)
        buffer.writeStaticString("\n")
    }

    /// Ends the document.
    mutating func finish() -> ByteBuffer {
        if format == .openMetrics { buffer.writeStaticString("# EOF\n") }
        return buffer
    }

    private mutating func write(_ labels: Labels) {
        guard !labels.isEmpty else { return }
        buffer.writeStaticString("{")
        for (index, label) in labels.enumerated() {
            if index > 0 { buffer.writeStaticString(",") }
            buffer.writeString(label.name)
            buffer.writeStaticString("=\"")
            for byte in label.value.utf8 {
                switch byte {
                case UInt8(ascii: "\\"): buffer.writeStaticString("\\\\")
                case UInt8(ascii: "\""): buffer.writeStaticString("\\\"")
                case 0x0A: buffer.writeStaticString("\\n")
                default: buffer.writeInteger(byte)
                }
            }
            buffer.writeStaticString("\"")
        }
        buffer.writeStaticString("}")
    }

    private mutating func write(_ exemplar: Exemplar) {
        buffer.writeStaticString(" # ")
        write([("trace_id", exemplar.traceID)])
        buffer.writeString(" \(Self.text(exemplar.value)) \(Self.text(exemplar.unixSeconds))")
    }

    private mutating func writeValue(_ value: Double) {
        buffer.writeStaticString(" ")
        buffer.writeString(Self.text(value))
        buffer.writeStaticString("\n")
    }

    /// A number as both formats write it: the shortest text that reads back as the same value.
    static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) + (abs(value) < 1e6 ? ".0" : "") }
        return "\(value)"
    }
}
