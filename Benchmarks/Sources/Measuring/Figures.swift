/// With two digits after the point, or with one from 100 on.
public func decimal(_ value: Double) -> String {
    let scale = value >= 100 ? 10.0 : 100.0
    let scaled = Int((value * scale).rounded())
    let digits = "\(scaled % Int(scale))"
    let width = value >= 100 ? 1 : 2
    return "\(scaled / Int(scale)).\(String(repeating: "0", count: width - digits.count))\(digits)"
}

/// Prints whether a promise is kept.
public func verdict(_ what: String, _ value: Double, atMost limit: Double? = nil, atLeast floor: Double? = nil) {
    let kept = (limit.map { value <= $0 } ?? true) && (floor.map { value >= $0 } ?? true)
    let promise = limit.map { "at most \(decimal($0))" } ?? floor.map { "at least \(decimal($0))" } ?? ""
    print("  \(kept ? "kept" : "MISSED"): \(what) \(decimal(value)), promised \(promise)")
}
